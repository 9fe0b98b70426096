import json

import numpy as np

from mmimbal.evaluation.predictions import Predictions
from mmimbal.evaluation.results import (
    describe_images,
    pack,
    read_images,
    unpack,
    write_json,
)


def predictions(files):
    labels = np.array([0, 2, 1, 2])
    groups = np.array(['x', 'y', 'x', 'z'])
    return Predictions(np.eye(3)[labels], labels, files, groups, ('a', 'b', 'c'))


def test_packed_integers_come_back_and_are_small():
    values = np.random.default_rng(0).integers(0, 300_000, 1000)
    assert unpack(pack(values)).tolist() == values.tolist()
    assert len(pack(np.zeros(10_000, int))) < 100


def test_images_are_read_as_they_were_described(tmp_path):
    one = describe_images(predictions(np.array(['a', 'b', 'c', 'd'])))
    other = describe_images(predictions(np.array(['a', 'b', 'c', 'e'])))
    write_json(one, tmp_path / 'new' / 'images.json')
    found = read_images(tmp_path / 'new' / 'images.json')
    assert found.labels.tolist() == [0, 2, 1, 2] and found.classes == ('a', 'b', 'c')
    assert found.groups.tolist() == [0, 1, 0, 2]
    assert found.files == one['files'] != other['files']
    assert json.dumps(one) == json.dumps(one)
