"""A wrapper that makes any dataset long-tailed."""

import copy
from collections.abc import Sized
from typing import Any

import numpy as np
from mmengine.logging import print_log

from mmimbal.datasets.labels_and_groups import (
    count_classes,
    cumcount,
    get_class_names,
    get_groups,
    get_labels,
    read_through_wrappers,
)
from mmimbal.datasets.views import MetricIndex, is_marked
from mmimbal.registry import DATASETS


@DATASETS.register_module()
class LongTailDataset:
    """Make a dataset long-tailed: keep fewer images of each next class.

    The target count falls from that of the largest class, for the first class, to
    ``1 / ratio`` of it, for the last class. A class with fewer images than its target
    keeps all of them. If the dataset has groups (lesions, patients), images are taken
    group by group: at most one group per class is divided. The choice of images
    depends on the seed alone.

    Args:
        dataset: A dataset or its config.
        ratio: Images of the first class divided by those of the last, >= 1.
        profile: ``'exponential'`` (https://arxiv.org/abs/1901.05555), ``'step'`` (the
            second half of the classes is rare; https://arxiv.org/abs/1710.05381) or
            ``'pareto'`` (a power law over the rank of the class).
        seed: Seed of the choice of images.

    Raises:
        ValueError: If the profile is unknown, or the ratio is below 1 or leaves a
            class without an image.
    """

    keeps_marks = True  # of a batch sampler, see mmimbal.datasets.views

    def __init__(
        self,
        dataset: Sized | dict,
        ratio: float,
        profile: str = 'exponential',
        seed: int = 0,
    ) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        labels, names = get_labels(self.dataset), get_class_names(self.dataset)
        counts = count_classes(labels, names)
        targets = long_tail_counts(int(counts.max()), len(names), ratio, profile)
        order = _order(self.dataset, labels, np.random.default_rng(seed))
        rank = np.empty(len(labels), np.int64)
        rank[order] = cumcount(labels[order])
        self.indices = np.flatnonzero(rank < targets[labels])
        kept = zip(names, np.minimum(counts, targets), counts, strict=True)
        print_log(
            f'LongTailDataset({profile}, ratio={ratio}) keeps '
            + ', '.join(f'{name}: {n} of {total}' for name, n, total in kept),
            logger='current',
        )

    def full_init(self) -> None:
        """Do nothing: wrappers call this, but the constructor has done the work."""

    def get_subset(self, indices: list[int]) -> 'LongTailDataset':
        """Return a subset of this dataset, as KFoldDataset needs it."""
        subset = copy.copy(self)
        subset.indices = self.indices[indices]
        return subset

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        inner = int(self.indices[index])
        return self.dataset[MetricIndex(inner) if is_marked(index) else inner]

    def get_data_info(self, index: int) -> dict:
        """Return the annotation of an image."""
        return self.dataset.get_data_info(int(self.indices[index]))

    def get_cat_ids(self, index: int) -> list[int]:
        """Return the label of an image as a list, as MMPretrain's wrappers need it."""
        return self.dataset.get_cat_ids(int(self.indices[index]))

    @property
    def metainfo(self) -> dict:
        """Return the metainfo of the wrapped dataset, with its class names."""
        return self.dataset.metainfo


@read_through_wrappers.register
def _(dataset: LongTailDataset, read) -> np.ndarray:
    return read_through_wrappers(dataset.dataset, read)[dataset.indices]


def _order(
    dataset: Sized, labels: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Return shuffled indices, (N,), those of a group next to each other."""
    try:
        groups = np.unique(get_groups(dataset), return_inverse=True)[1]
    except TypeError:  # no groups: each image is its own group
        groups = np.arange(len(labels))
    return np.argsort(random.permutation(len(labels))[groups], kind='stable')


def long_tail_counts(
    max_count: int, num_classes: int, ratio: float, profile: str = 'exponential'
) -> np.ndarray:
    """Return class counts that fall from ``max_count`` to ``max_count / ratio``.

    Args:
        max_count: Images of the first class.
        num_classes: Number of classes, K.
        ratio: First count divided by last count, >= 1.
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
    counts = np.round(max_count * ratio ** -exponents[profile]).astype(np.int64)
    if counts[-1] < 1:
        raise ValueError(
            f'ratio={ratio} leaves the rarest class without an image: it must be below '
            f'{2 * max_count}, twice the images of the first class'
        )
    return counts
