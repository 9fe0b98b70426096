from dataclasses import replace

import numpy as np
import pytest

from mmimbal.evaluation.predictions import Predictions
from mmimbal.experiments.results import (
    images_file,
    pack,
    read_images,
    unpack,
    write_images,
)


def predictions(files):
    labels = np.array([0, 2, 1, 2])
    groups = np.array(['x', 'y', 'x', 'z'])
    return Predictions(np.eye(3)[labels], labels, files, groups, ('a', 'b', 'c'))


def test_packed_integers_come_back_and_are_small():
    values = np.random.default_rng(0).integers(0, 300_000, 1000)
    assert unpack(pack(values)).tolist() == values.tolist()
    assert len(pack(np.zeros(10_000, int))) < 100


def test_images_are_read_as_they_were_kept(tmp_path):
    file = images_file(tmp_path, 'set', 3)
    assert file == tmp_path / 'images' / 'set_fold3.json'
    assert images_file(tmp_path, 'set', None).name == 'set.json'
    files = write_images(predictions(np.array(['a', 'b', 'c', 'd'])), file)
    found = read_images(file)
    assert found.labels.tolist() == [0, 2, 1, 2] and found.classes == ('a', 'b', 'c')
    assert found.groups.tolist() == [0, 1, 0, 2]
    assert found.files == files


def test_other_images_do_not_take_the_place_of_those_kept(tmp_path):
    file = tmp_path / 'images.json'
    same, other = (np.array(list(names)) for names in ('abcd', 'abce'))
    files = write_images(predictions(same), file)
    content = file.read_text()
    assert write_images(predictions(same), file) == files
    with pytest.raises(ValueError, match=r'differ from .*images\.json'):
        write_images(predictions(other), file)
    for change, value in (
        ('labels', np.array([0, 2, 1, 1])),
        ('groups', np.array(['x', 'y', 'y', 'z'])),
        ('classes', ('a', 'c', 'b')),
    ):
        changed = replace(predictions(same), **{change: value})
        with pytest.raises(ValueError, match=f'in {change}:'):
            write_images(changed, file)
    assert file.read_text() == content


def test_training_images_count_once_although_some_are_drawn_more_often(tmp_path):
    counts = np.array([900, 50, 50])
    run = replace(predictions(np.array(list('abcd'))), class_counts=counts)
    for number, (about, train) in enumerate(
        (({}, 1000), ({'training_images': 920}, 920))
    ):
        file = tmp_path / f'{number}.json'
        write_images(replace(run, about=about), file)
        assert read_images(file).train == train
