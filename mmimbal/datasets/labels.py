"""Labels and class counts of any dataset, read through its wrappers."""

from collections.abc import Sized
from functools import singledispatch

import mmengine.dataset as wrappers
import numpy as np
import torch.utils.data as torch_data
from mmengine.runner.runner import _SlicedDataset


@singledispatch
def get_labels(dataset: Sized) -> np.ndarray:
    """Return the label of every item of a dataset, without loading an image.

    Wrappers are looked through. For a wrapper of your own, register how its items
    follow from those of the dataset inside: ``@get_labels.register``.

    Args:
        dataset: Any dataset, wrapped or not.

    Returns:
        Labels, (N,), int64, in the order of the dataset's indices.

    Raises:
        TypeError: If the dataset has no ``get_gt_labels``, or if an item has several
            labels or none.
    """
    if not hasattr(dataset, 'get_gt_labels'):
        raise TypeError(
            f'cannot read the labels of a {type(dataset).__name__}: it has no '
            'get_gt_labels(), and no function registered with '
            'mmimbal.datasets.get_labels.register'
        )
    labels = np.asarray(dataset.get_gt_labels())
    if labels.ndim != 1 or labels.dtype.kind not in 'iu':
        raise TypeError(
            f'{type(dataset).__name__} has labels of shape {labels.shape} and type '
            f'{labels.dtype}; expected one class index per image, shape (N,)'
        )
    return labels.astype(np.int64)


@get_labels.register
def _(dataset: torch_data.ConcatDataset) -> np.ndarray:
    return np.concatenate([get_labels(part) for part in dataset.datasets])


@get_labels.register
def _(dataset: wrappers.RepeatDataset) -> np.ndarray:
    return np.tile(get_labels(dataset.dataset), dataset.times)


@get_labels.register
def _(dataset: wrappers.ClassBalancedDataset) -> np.ndarray:
    return get_labels(dataset.dataset)[np.asarray(dataset.repeat_indices)]


@get_labels.register
def _(dataset: torch_data.Subset) -> np.ndarray:
    return get_labels(dataset.dataset)[np.asarray(dataset.indices)]


@get_labels.register
def _(dataset: _SlicedDataset) -> np.ndarray:
    return get_labels(dataset._dataset)[: len(dataset)]


def get_class_names(dataset: Sized) -> tuple[str, ...]:
    """Return the class names of a dataset in label order.

    Raises:
        ValueError: If neither the dataset nor the one it wraps names its classes.
    """
    while dataset is not None:
        names = (getattr(dataset, 'metainfo', None) or {}).get('classes')
        if names:
            return tuple(names)
        parts = getattr(dataset, 'datasets', None)
        dataset = parts[0] if parts else getattr(dataset, 'dataset', None)
    raise ValueError('the dataset does not name its classes: metainfo has no "classes"')


def get_class_counts(dataset: Sized) -> np.ndarray:
    """Return how many items each class has, (K,), int64; classes without any count 0.

    Raises:
        ValueError: If a label is outside the classes that the dataset names.
    """
    names = get_class_names(dataset)
    labels = get_labels(dataset)
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(names):
        raise ValueError(
            f'labels run from {labels.min()} to {labels.max()}, but the dataset has '
            f'{len(names)} classes: {", ".join(names)}'
        )
    return np.bincount(labels, minlength=len(names))
