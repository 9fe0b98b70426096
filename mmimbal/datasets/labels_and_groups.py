"""Labels, groups and class counts of any dataset, read through its wrappers."""

from collections.abc import Callable, Mapping, Sequence, Sized
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
    """Return one value per image of a dataset, also of a wrapped one.

    For your own wrapper, register a function with ``@read_through_wrappers.register``
    that computes its values from those of the wrapped dataset.

    Args:
        dataset: Any dataset, wrapped or not.
        read: Returns the values of a dataset that is not a wrapper, (N,).

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
    return read_through_wrappers(dataset.dataset, read)  # it holds only its fold


@read_through_wrappers.register
def _(dataset: torch_data.Subset, read) -> np.ndarray:
    return read_through_wrappers(dataset.dataset, read)[np.asarray(dataset.indices)]


@read_through_wrappers.register
def _(dataset: _SlicedDataset, read) -> np.ndarray:
    return read_through_wrappers(dataset._dataset, read)[: len(dataset)]


def get_labels(dataset: Sized) -> np.ndarray:
    """Return the label of every image of a dataset, (N,), without loading it.

    Raises:
        TypeError: If the dataset has no ``get_gt_labels``, or an image has several
            labels or none.
    """
    return read_through_wrappers(dataset, _labels)


def get_groups(dataset: Sized) -> np.ndarray:
    """Return the group (a lesion, a patient) of every image, (N,), str.

    Raises:
        TypeError: If the dataset has no ``get_groups``.
    """
    return read_through_wrappers(dataset, _groups)


def get_files(dataset: Sized) -> np.ndarray:
    """Return the file of every image of a dataset, (N,), str.

    This is its path relative to the dataset's folder, or else its full path.

    Raises:
        TypeError: If the images have no files.
    """
    return read_through_wrappers(dataset, _files)


def get_class_names(dataset: Sized) -> tuple[str, ...]:
    """Return the class names of a dataset in label order.

    Raises:
        ValueError: If neither the dataset nor the wrapped one lists its classes, or
            concatenated datasets list different classes.
    """
    while dataset is not None:
        names = (getattr(dataset, 'metainfo', None) or {}).get('classes')
        if names:
            return tuple(names)
        parts = getattr(dataset, 'datasets', None)
        if parts and len(lists := {get_class_names(part) for part in parts}) > 1:
            text = ' and '.join(', '.join(names) for names in sorted(lists))
            raise ValueError(f'concatenated datasets name different classes: {text}')
        dataset = parts[0] if parts else getattr(dataset, 'dataset', None)
    raise ValueError(
        'the dataset does not name its classes: add metainfo=dict(classes=[...]) to it'
    )


def check_trained_classes(meta: Mapping, dataset: Sized, checkpoint: object) -> None:
    """Raise a ValueError if a model was trained on other classes than those here.

    Args:
        meta: That of its checkpoint. Nothing is checked if it does not list classes.
        dataset: A data set that the model is used for.
        checkpoint: Its path, for the message.
    """
    trained = tuple((meta.get('dataset_meta') or {}).get('classes') or ())
    if trained and trained != (classes := get_class_names(dataset)):
        same = ', the same in another order' if set(trained) == set(classes) else ''
        raise ValueError(
            f'{checkpoint} was trained on the classes {", ".join(trained)}, but the '
            f'data set has {", ".join(classes)}{same}'
        )


def get_class_counts(dataset: Sized) -> np.ndarray:
    """Return the number of images per class, (K,), int64; 0 for an empty class.

    A ``RepeatDataset`` has the images of the data set that it repeats. Those that
    ``ClassBalancedDataset`` draws more often count more often.

    Raises:
        ValueError: If a label is outside the classes of the dataset.
    """
    dataset = without_repeats(dataset)
    return count_classes(get_labels(dataset), get_class_names(dataset))


def without_repeats(dataset: Sized) -> Sized:
    """Return the data set that a ``RepeatDataset`` repeats, or the data set itself.

    Its indices are valid in the wrapper, too.
    """
    while isinstance(dataset, wrappers.RepeatDataset):
        dataset = dataset.dataset
    return dataset


def count_classes(labels: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Return the number of labels per class, (K,), int64.

    Raises:
        ValueError: If a label is outside the classes.
    """
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(names):
        raise ValueError(
            f'labels range from {labels.min()} to {labels.max()}, but the dataset has '
            f'{len(names)} classes: {", ".join(names)}'
        )
    return np.bincount(labels, minlength=len(names))


def check_no_class_is_empty(
    counts: np.ndarray, names: Sequence[str], where: str = ''
) -> None:
    """Raise a ValueError that names the classes without a training image.

    Args:
        counts: Training images of each class, (K,).
        names: Class names, K.
        where: Split and index, if they are known.
    """
    empty = [name for name, count in zip(names, counts, strict=True) if not count]
    if empty:
        raise ValueError(
            f'no training image of class {", ".join(empty)}{where}: add images, or '
            'remove the class (of a prepared set, from dataset.json). A filter or a '
            'slice of the data set (indices, num_batch_per_epoch) may have left none'
        )


def cumcount(values: np.ndarray) -> np.ndarray:
    """Count for each value the equal ones before it, (N,); like pandas' cumcount.

    Values are integers >= 0, (N,).
    """
    order = np.argsort(values, kind='stable')
    counts = np.bincount(values)
    before = np.empty(len(values), np.int64)
    before[order] = np.arange(len(values))
    return before - (np.cumsum(counts) - counts)[values]


def _labels(dataset: Sized) -> np.ndarray:
    if not hasattr(dataset, 'get_gt_labels'):
        raise TypeError(
            f'cannot read the labels of a {type(dataset).__name__}: it has no '
            'get_gt_labels(). Add it or, for a wrapper, register a function with '
            'mmimbal.datasets.read_through_wrappers.register'
        )
    found = dataset.get_gt_labels()
    try:
        labels = np.asarray(found)
    except ValueError:  # of NumPy, for lists of several lengths
        raise TypeError(
            f'{type(dataset).__name__} has images with several labels or none; '
            'expected one class index per image'
        ) from None
    if labels.ndim != 1 or labels.dtype.kind not in 'iu':
        raise TypeError(
            f'{type(dataset).__name__} has labels of shape {labels.shape} and type '
            f'{labels.dtype}; expected one class index per image, shape (N,)'
        )
    return labels


def _groups(dataset: Sized) -> np.ndarray:
    if not hasattr(dataset, 'get_groups'):
        raise TypeError(
            f'{type(dataset).__name__} has no groups: it has no get_groups(). Use '
            'CSVDataset, which reads them from the column group'
        )
    return np.asarray(dataset.get_groups(), dtype=str)


def _files(dataset: Sized) -> np.ndarray:
    if hasattr(dataset, 'get_files'):
        return np.asarray(dataset.get_files(), dtype=str)
    read = getattr(dataset, 'get_data_info', lambda index: {})
    names = [read(index).get('img_path') for index in range(len(dataset))]
    if None in names:
        raise TypeError(
            f'{type(dataset).__name__} has images without files: it has no get_files() '
            'and no img_path'
        )
    return np.array(names, dtype=str)
