import dataclasses
import pickle

import numpy as np
import pytest

from mmimbal.datasets import CSVDataset, DigitsLT
from mmimbal.evaluation.metrics import summarise
from mmimbal.evaluation.predictions import (
    Predictions,
    check_same_images,
    load_predictions,
    predictions_for,
)


@pytest.fixture
def found():
    return Predictions(
        np.array([[0.5, 0.5], [0.25, 0.75], [1, 0]], np.float32),
        np.array([0, 1, 1]),
        np.array(['a.png', 'b.png', 'c, "d".png']),
        np.array(['x', 'x', 'é']),
        ('first', 'second'),
        np.array([10, 3]),
        np.eye(3, 5, dtype=np.float32),
        dict(config='model = 1', folds=[1, 2]),
    )


def assert_equal(one, other):
    for part in dataclasses.fields(one):
        left, right = (getattr(each, part.name) for each in (one, other))
        assert np.array_equal(left, right), part.name


def test_what_was_written_is_read(found, tmp_path):
    found.save(tmp_path / 'new' / 'run.npz')
    assert_equal(load_predictions(tmp_path / 'new' / 'run.npz'), found)
    assert [file.name for file in (tmp_path / 'new').iterdir()] == ['run.npz']


def test_counts_and_embeddings_may_be_unknown(found, tmp_path):
    bare = dataclasses.replace(found, class_counts=None, embeddings=None)
    bare.save(tmp_path / 'run.npz')
    assert_equal(load_predictions(tmp_path / 'run.npz'), bare)


def test_missing_file_says_how_to_write_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'tools/test\.py .* --out FILE\.npz'):
        load_predictions(tmp_path / 'run.npz')


@pytest.mark.parametrize('size', [0, 10, 500])
def test_a_cut_file_is_told(found, tmp_path, size):
    path = tmp_path / 'run.npz'
    found.save(path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(
        ValueError, match=r'run\.npz is not a complete file of predictions'
    ):
        load_predictions(path)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(format=2), 'format is 2, expected 1'),
        (dict(groups=None), 'it has no groups'),
        (dict(groups=np.array(['x', '', ''])), 'has no group'),
        (dict(groups=np.array(['x'])), '1 groups for 3 images'),
        (dict(files=np.array(['x'])), '1 files for 3 images'),
        (dict(labels=np.array([0, 1, 2])), 'labels range from 0 to 2'),
        (dict(labels=np.array([0, 1])), r'\(3, 2\), but there are 2 images'),
        (dict(scores=np.full((3, 2), np.nan)), '3 of 3 images are not finite'),
        (dict(about=np.array('{')), 'about'),
        (dict(labels=np.array([0.0, 1, 1])), 'labels have type float64'),
        (
            dict(labels=np.array([[0], [1], [1]])),
            r'labels have type int64 and shape \(3, 1\)',
        ),
        (dict(scores=np.array([['a', 'b']] * 3)), 'scores have type <U1'),
        (dict(scores=np.log([[0.5, 0.5]] * 3)), '3 of 3 images are not probabilities'),
        (dict(scores=np.ones((3, 2))), 'the sum 2'),
        (dict(class_counts=np.array([1])), '1 class_counts for 2 classes'),
        (dict(embeddings=np.full((3, 5), np.inf)), 'embeddings are not finite'),
    ],
)
def test_parts_that_do_not_fit_are_told(found, tmp_path, change, message):
    path = tmp_path / 'run.npz'
    found.save(path)
    with np.load(path) as file:
        content = {name: file[name] for name in file.files} | change
    np.savez(path, **{name: v for name, v in content.items() if v is not None})
    with pytest.raises(
        ValueError, match=message if 'about' not in change else 'complete'
    ):
        load_predictions(path)


@pytest.mark.parametrize('bits', [1, 255])
def test_a_changed_byte_is_told_or_harmless(found, tmp_path, bits):
    path = tmp_path / 'run.npz'
    found.save(path)
    content = path.read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= bits
        path.write_bytes(changed)
        try:
            load_predictions(path)
        except ValueError as error:
            assert 'not a complete file of predictions' in str(error)


def test_another_kind_of_file_is_told(tmp_path):
    np.save(tmp_path / 'run.npy', np.ones(3))
    (tmp_path / 'run.npy').rename(tmp_path / 'run.npz')
    with pytest.raises(
        ValueError, match=r'run\.npz is not a complete .* not an \.npz file'
    ):
        load_predictions(tmp_path / 'run.npz')


def test_objects_are_refused(found, tmp_path):
    class Payload:
        def __reduce__(self):
            return (tmp_path.joinpath('owned').touch, ())

    path = tmp_path / 'run.npz'
    found.save(path)
    with np.load(path) as file:
        content = {name: file[name] for name in file.files}
    content['groups'] = np.array([Payload()] * 3, object)
    np.savez(path, **content)
    with pytest.raises(ValueError, match='not a complete file'):
        load_predictions(path)
    path.write_bytes(pickle.dumps(Payload()))
    with pytest.raises(ValueError, match='not a complete file'):
        load_predictions(path)
    assert not (tmp_path / 'owned').exists()


def test_runs_of_other_images_are_not_compared(found):
    turned = np.array([1, 0, 2])
    other = dataclasses.replace(found, files=found.files[turned])
    check_same_images(dict(one=found, other=found))
    with pytest.raises(ValueError, match=r'ce and triplet .* in another order'):
        check_same_images(dict(ce=found, triplet=other))
    other = dataclasses.replace(found, files=np.array(['d', 'e', 'f']))
    with pytest.raises(ValueError, match=r'ce and triplet .* their files differ'):
        check_same_images(dict(ce=found, triplet=other))


@pytest.mark.parametrize('kind', [np.uint8, np.int8, np.uint64])
def test_labels_of_any_size_are_those_of_their_classes(tmp_path, kind):
    labels, names = np.arange(60) % 30, np.arange(60).astype(str)
    classes = tuple(map(str, range(30)))
    path = tmp_path / 'run.npz'
    Predictions(np.eye(30)[labels], labels, names, names, classes).save(path)
    with np.load(path) as file:
        content = {name: file[name] for name in file.files}
    np.savez(path, **content | dict(labels=labels.astype(kind)))
    read = load_predictions(path)
    assert summarise(read.scores, read.labels, classes)['macro_f1'] == 100


def test_of_a_dataset(folder):
    dataset = CSVDataset(str(folder), 'val')
    scores = np.full((len(dataset), 3), 1 / 3)
    found = predictions_for(dataset, scores, split='val')
    assert found.files[0] == 'images/val_a_0.png'
    assert found.groups.tolist() == dataset.get_groups()
    assert found.labels.tolist() == dataset.get_gt_labels().tolist()
    assert found.about == dict(split='val')


def test_without_groups_each_image_is_one_of_its_own():
    dataset = DigitsLT('val')
    found = predictions_for(dataset, np.full((len(dataset), 10), 0.1))
    assert found.groups.tolist() == [str(n) for n in range(len(dataset))]
