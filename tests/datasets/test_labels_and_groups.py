import numpy as np
import pytest
from mmengine.dataset import ClassBalancedDataset, ConcatDataset, RepeatDataset
from mmengine.runner.runner import _SlicedDataset
from mmpretrain.datasets import KFoldDataset
from torch.utils.data import ConcatDataset as TorchConcatDataset
from torch.utils.data import Subset, TensorDataset

from mmimbal.datasets import (
    CSVDataset,
    DigitsLT,
    LongTailDataset,
    get_class_counts,
    get_class_names,
    get_groups,
    get_labels,
)
from mmimbal.datasets.labels_and_groups import check_trained_classes


@pytest.fixture
def digits():
    return DigitsLT('train')


def naive(dataset):
    """Read the labels one item at a time."""
    return [dataset[index]['gt_label'] for index in range(len(dataset))]


WRAPPERS = {
    'none': lambda d: d,
    'concat': lambda d: ConcatDataset([d, DigitsLT('val')]),
    'repeat': lambda d: RepeatDataset(d, times=3),
    'class balanced': lambda d: ClassBalancedDataset(d, oversample_thr=0.1),
    'k-fold': lambda _: KFoldDataset(
        dict(type='mmimbal.DigitsLT', split='train'), fold=1, num_splits=3, seed=0
    ),
    'subset': lambda d: Subset(d, [5, 200, 3]),
    'long tail': lambda d: LongTailDataset(d, ratio=80),
    'sliced': lambda d: _SlicedDataset(d, 7),
    'nested': lambda d: Subset(ConcatDataset([d, DigitsLT('val')]), [400, 0, 290, 291]),
}


@pytest.mark.parametrize('wrap', WRAPPERS.values(), ids=WRAPPERS.keys())
def test_labels_are_those_of_the_items(digits, wrap):
    dataset = wrap(digits)
    labels = get_labels(dataset)
    assert labels.tolist() == naive(dataset)
    assert get_class_names(dataset) == tuple('0123456789')
    images = digits if isinstance(dataset, RepeatDataset) else dataset
    assert get_class_counts(dataset).tolist() == [
        naive(images).count(label) for label in range(10)
    ]


@pytest.mark.parametrize(
    'wrap',
    [
        lambda d: d,
        lambda d: ConcatDataset([d, d]),
        lambda d: RepeatDataset(d, times=2),
        lambda d: Subset(d, [3, 1]),
        lambda d: LongTailDataset(d, ratio=2),
    ],
)
def test_groups_are_those_of_the_items(folder, wrap):
    dataset = wrap(CSVDataset(str(folder), 'train', pipeline=[]))
    expected = [dataset[index]['group'] for index in range(len(dataset))]
    assert get_groups(dataset).tolist() == expected


def test_groups_of_a_fold(folder):
    inside = dict(type='mmimbal.CSVDataset', data_root=str(folder), split='train')
    dataset = KFoldDataset(inside, fold=0, num_splits=3, seed=0)
    expected = [dataset[index]['group'] for index in range(len(dataset))]
    assert get_groups(dataset).tolist() == expected


def test_dataset_without_groups_is_an_error(digits):
    with pytest.raises(TypeError, match='DigitsLT has no groups'):
        get_groups(digits)


def test_unlabelled_dataset_is_an_error():
    with pytest.raises(TypeError, match='no get_gt_labels'):
        get_labels(TensorDataset())


def test_multi_label_dataset_is_an_error(digits):
    digits.get_gt_labels = lambda: np.zeros((5, 10))
    with pytest.raises(TypeError, match=r'labels of shape \(5, 10\)'):
        get_labels(digits)


def test_labels_outside_the_classes_are_an_error(digits):
    digits.get_gt_labels = lambda: np.array([0, 10])
    with pytest.raises(ValueError, match='0 to 10, but the dataset has 10 classes'):
        get_class_counts(digits)


def test_class_names_are_required(digits):
    digits._metainfo = {}
    with pytest.raises(ValueError, match='does not name its classes'):
        get_class_names(RepeatDataset(digits, 2))


def test_class_names_of_parts_must_agree(digits):
    other = DigitsLT('val')
    both = TorchConcatDataset([digits, other])
    assert get_class_names(both) == get_class_names(other)
    digits._metainfo = dict(classes=tuple('abcdefghij'))
    with pytest.raises(ValueError, match=r'name different classes: 0, 1, .* and a, b'):
        get_class_names(both)


class Named:
    def __init__(self, *classes):
        self.metainfo = dict(classes=classes)


def test_a_model_of_other_classes_is_told():
    meta = dict(dataset_meta=dict(classes=['a', 'b', 'c']))
    check_trained_classes(meta, Named('a', 'b', 'c'), 'm.pth')
    for unknown in ({}, dict(dataset_meta=None), dict(dataset_meta={})):
        check_trained_classes(unknown, Named('x', 'y'), 'm.pth')
        check_trained_classes(unknown, Named(), 'm.pth')  # of no names at all
    with pytest.raises(
        ValueError, match=r'm\.pth was trained on the classes a, b, c, '
    ):
        check_trained_classes(meta, Named('x', 'y', 'z'), 'm.pth')
    with pytest.raises(ValueError, match='has c, b, a, the same in another order'):
        check_trained_classes(meta, Named('c', 'b', 'a'), 'm.pth')


def test_a_repeated_data_set_has_no_more_images():
    """Else a class of 2 images, 10 times each, would be one of the medium classes."""
    digits = DigitsLT('train', ratio=10)
    repeated = RepeatDataset(digits, times=10)
    assert get_class_counts(repeated).tolist() == get_class_counts(digits).tolist()


def test_images_with_several_labels_are_an_error(digits):
    """As of MMPretrain's MultiLabelDataset, which NumPy cannot make an array of."""
    digits.get_gt_labels = lambda: [[0, 1], [2], []]
    with pytest.raises(TypeError, match='images with several labels or none; expected'):
        get_labels(digits)
