"""Labels, groups and class counts of any dataset, read through its wrappers."""

from collections.abc import Callable, Sized
from functools import singledispatch

import mmengine.dataset as wrappers
import mmpretrain.datasets as mmpretrain
import numpy as np
import torch.utils.data as torch_data
from mmengine.runner.runner import _SlicedDataset


@singledispatch
def read_through_wrappers(
    dataset: Sized, read: Callable[[Sized], np.ndarray]
) -> np.ndarray:
    """Return one value per item of a dataset, looking through wrappers.

    For a wrapper of your own, say how its items follow from those of the dataset
    inside: ``@read_through_wrappers.register``.

    Args:
        dataset: Any dataset, wrapped or not.
        read: Gives the values of a dataset that is no wrapper, (N,).

    Returns:
        Values, (N,), in the order of the dataset's indices.
    """
    return read(dataset)


@read_through_wrappers.register
def _(dataset: torch_data.ConcatDataset, read) -> np.ndarray:
    return np.concatenate(
        [read_through_wrappers(part, read) for part in dataset.datasets]
    )


@read_through_wrappers.register
def _(dataset: wrappers.RepeatDataset, read) -> np.ndarray:
    return np.tile(read_through_wrappers(dataset.dataset, read), dataset.times)


@read_through_wrappers.register
def _(dataset: wrappers.ClassBalancedDataset, read) -> np.ndarray:
    return read_through_wrappers(dataset.dataset, read)[
        np.asarray(dataset.repeat_indices)
    ]


@read_through_wrappers.register
def _(dataset: mmpretrain.KFoldDataset, read) -> np.ndarray:
    return read_through_wrappers(dataset.dataset, read)  # already cut down to its fold


@read_through_wrappers.register
def _(dataset: torch_data.Subset, read) -> np.ndarray:
    return read_through_wrappers(dataset.dataset, read)[np.asarray(dataset.indices)]


@read_through_wrappers.register
def _(dataset: _SlicedDataset, read) -> np.ndarray:
    return read_through_wrappers(dataset._dataset, read)[: len(dataset)]


def get_labels(dataset: Sized) -> np.ndarray:
    """Return the label of every item of a dataset, (N,), without loading an image.

    Raises:
        TypeError: If the dataset has no ``get_gt_labels``, or if an item has several
            labels or none.
    """
    return read_through_wrappers(dataset, _labels)


def get_groups(dataset: Sized) -> np.ndarray:
    """Return the group (lesion, patient, ...) of every item of a dataset, (N,), str.

    Raises:
        TypeError: If the dataset has no ``get_groups``.
    """
    return read_through_wrappers(dataset, _groups)


def get_files(dataset: Sized) -> np.ndarray:
    """Return what names every item of a dataset, (N,), str.

    That is its file below the dataset's folder, else its path, else its number.
    """
    return read_through_wrappers(dataset, _files)


def get_class_names(dataset: Sized) -> tuple[str, ...]:
    """Return the class names of a dataset in label order.

    Raises:
        ValueError: If neither the dataset nor the one it wraps names its classes, or
            parts of it name different ones.
    """
    while dataset is not None:
        names = (getattr(dataset, 'metainfo', None) or {}).get('classes')
        if names:
            return tuple(names)
        parts = getattr(dataset, 'datasets', None)
        if parts and len(found := {get_class_names(part) for part in parts}) > 1:
            lists = ' and '.join(', '.join(names) for names in sorted(found))
            raise ValueError(f'concatenated datasets name different classes: {lists}')
        dataset = parts[0] if parts else getattr(dataset, 'dataset', None)
    raise ValueError('the dataset does not name its classes: metainfo has no "classes"')


def get_class_counts(dataset: Sized) -> np.ndarray:
    """Return how many items each class has, (K,), int64; classes without any count 0.

    Raises:
        ValueError: If a label is outside the classes that the dataset names.
    """
    return count_classes(get_labels(dataset), get_class_names(dataset))


def count_classes(labels: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Return how many labels each of the named classes has, (K,), int64.

    Raises:
        ValueError: If a label is outside the classes.
    """
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(names):
        raise ValueError(
            f'labels run from {labels.min()} to {labels.max()}, but the dataset has '
            f'{len(names)} classes: {", ".join(names)}'
        )
    return np.bincount(labels, minlength=len(names))


def occurrence(values: np.ndarray) -> np.ndarray:
    """Return for each value, an integer >= 0, how many equal ones come before, (N,)."""
    order = np.argsort(values, kind='stable')
    counts = np.bincount(values)
    before = np.empty(len(values), np.int64)
    before[order] = np.arange(len(values))
    return before - (np.cumsum(counts) - counts)[values]


def _labels(dataset: Sized) -> np.ndarray:
    if not hasattr(dataset, 'get_gt_labels'):
        raise TypeError(
            f'cannot read the labels of a {type(dataset).__name__}: it has no '
            'get_gt_labels(), and no function registered with '
            'mmimbal.datasets.read_through_wrappers.register'
        )
    labels = np.asarray(dataset.get_gt_labels())
    if labels.ndim != 1 or labels.dtype.kind not in 'iu':
        raise TypeError(
            f'{type(dataset).__name__} has labels of shape {labels.shape} and type '
            f'{labels.dtype}; expected one class index per image, shape (N,)'
        )
    return labels


def _groups(dataset: Sized) -> np.ndarray:
    if not hasattr(dataset, 'get_groups'):
        raise TypeError(
            f'{type(dataset).__name__} does not know which images belong together: it '
            'has no get_groups(). CSVDataset reads them from a column named group'
        )
    return np.asarray(dataset.get_groups(), dtype=str)


def _files(dataset: Sized) -> np.ndarray:
    if hasattr(dataset, 'get_files'):
        return np.asarray(dataset.get_files(), dtype=str)
    if not hasattr(dataset, 'get_data_info'):
        return np.arange(len(dataset)).astype(str)
    infos = (dataset.get_data_info(index) for index in range(len(dataset)))
    names = [info.get('img_path', str(n)) for n, info in enumerate(infos)]
    return np.array(names, dtype=str)
