"""Making any dataset imbalanced."""

import copy
from collections.abc import Sized
from typing import Any

import numpy as np
from mmengine.logging import print_log

from mmimbal.datasets.labels_and_groups import (
    count_classes,
    get_class_names,
    get_groups,
    get_labels,
    occurrence,
    read_through_wrappers,
)
from mmimbal.registry import DATASETS


@DATASETS.register_module()
class LongTailDataset:
    """Keep fewer and fewer images of each class of a dataset.

    Classes keep their order: the first stays as it is, the last keeps ``1 / ratio`` of
    as many. A class that has fewer images to begin with keeps what it has. Where the
    dataset knows groups (lesions, patients), images are taken group by group, so that
    groups stay whole but for the last of a class. The same images every time.

    Args:
        dataset: A dataset or its config.
        ratio: Images of the first class over images of the last, >= 1.
        profile: ``'exponential'`` (https://arxiv.org/abs/1901.05555), ``'step'`` (the
            second half of the classes is rare; https://arxiv.org/abs/1710.05381) or
            ``'pareto'`` (a power law over the rank of the class).
        seed: Of the choice of images.

    Raises:
        ValueError: If the profile is unknown, or the ratio is below 1 or leaves a
            class without an image.
    """

    def __init__(
        self,
        dataset: Sized | dict,
        ratio: float,
        profile: str = 'exponential',
        seed: int = 0,
    ) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        labels, names = get_labels(self.dataset), get_class_names(self.dataset)
        found = count_classes(labels, names)
        wanted = long_tail_counts(int(found.max()), len(names), ratio, profile)
        order = _order(self.dataset, labels, np.random.default_rng(seed))
        rank = np.empty(len(labels), np.int64)
        rank[order] = occurrence(labels[order])
        self.indices = np.flatnonzero(rank < wanted[labels])
        kept = zip(names, np.minimum(found, wanted), found, strict=True)
        print_log(
            f'LongTailDataset({profile}, ratio={ratio}) keeps '
            + ', '.join(f'{name} {n} of {all_}' for name, n, all_ in kept),
            logger='current',
        )

    def full_init(self) -> None:
        """Do nothing: wrappers call it, and this is initialised when built."""

    def get_subset(self, indices: list[int]) -> 'LongTailDataset':
        """Return this dataset cut down to some items, as KFoldDataset asks for."""
        subset = copy.copy(self)
        subset.indices = self.indices[indices]
        return subset

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[int(self.indices[index])]

    def get_data_info(self, index: int) -> dict:
        """Return the annotation of an item."""
        return self.dataset.get_data_info(int(self.indices[index]))

    def get_cat_ids(self, index: int) -> list[int]:
        """Return the label of an item, as MMPretrain's wrappers ask for it."""
        return self.dataset.get_cat_ids(int(self.indices[index]))

    @property
    def metainfo(self) -> dict:
        """Return the class names and what else the dataset says of itself."""
        return self.dataset.metainfo


@read_through_wrappers.register
def _(dataset: LongTailDataset, read) -> np.ndarray:
    return read_through_wrappers(dataset.dataset, read)[dataset.indices]


def _order(
    dataset: Sized, labels: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Shuffle the images of a dataset, those of a group next to each other, (N,)."""
    try:
        groups = np.unique(get_groups(dataset), return_inverse=True)[1]
    except TypeError:  # each image for itself
        groups = np.arange(len(labels))
    return np.argsort(random.permutation(len(labels))[groups], kind='stable')


def long_tail_counts(
    most: int, num_classes: int, ratio: float, profile: str = 'exponential'
) -> np.ndarray:
    """Return class counts that fall from ``most`` to ``most / ratio``.

    Args:
        most: Images of the first class.
        num_classes: Number of classes, K.
        ratio: First count over last count, >= 1.
        profile: As in :class:`LongTailDataset`.

    Returns:
        Counts, (K,), int64, rounded.

    Raises:
        ValueError: As in :class:`LongTailDataset`.
    """
    if ratio < 1:
        raise ValueError(f'ratio={ratio} must be at least 1')
    ranks = np.arange(num_classes)
    last = max(num_classes - 1, 1)
    exponents = {
        'exponential': ranks / last,
        'step': (ranks >= num_classes / 2).astype(float),
        'pareto': np.log1p(ranks) / np.log1p(last),
    }
    if profile not in exponents:
        raise ValueError(f'profile={profile!r} must be one of {", ".join(exponents)}')
    counts = np.round(most * ratio ** -exponents[profile]).astype(np.int64)
    if counts[-1] < 1:
        raise ValueError(
            f'ratio={ratio} leaves no image of the rarest of {most} images'
        )
    return counts
