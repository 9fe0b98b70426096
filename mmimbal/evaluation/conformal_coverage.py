"""Coverage and size of prediction sets, class by class, on test images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from mmimbal.evaluation.bootstrap import LEVEL, RESAMPLES, draw_groups, interval
from mmimbal.evaluation.calibration_images import (
    draw_one_of_each_group,
    group_numbers,
)
from mmimbal.evaluation.metrics import checked_labels


@dataclass(frozen=True)
class SetCoverage:
    """How good the sets of one class are.

    Attributes:
        groups: Number of its groups; one image of each was judged.
        coverage: Share of the sets that have the true class, in 0..1.
        coverage_interval: Its 95% interval of Clopper and Pearson.
        size: Mean number of classes in a set.
        size_interval: Its 95% bootstrap interval; 0..K for a single group.
    """

    groups: int
    coverage: float
    coverage_interval: tuple[float, float]
    size: float
    size_interval: tuple[float, float]


def coverage_of_sets(
    sets: np.ndarray,
    labels: np.ndarray,
    groups: Sequence[str],
    classes: Sequence[str],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, SetCoverage]:
    """Judge prediction sets on one test image of each group in each class.

    Args:
        sets: Which classes are in the set of each test image, (N, K), bool.
        labels: True class of each, (N,).
        groups: Group of each, (N,).
        classes: K class names.
        seed: Seed of the draw of one image of each group, and of the bootstrap.
        resamples: Number of bootstrap resamples.

    Returns:
        Coverage of each class that has test images.

    Raises:
        ValueError: If there are no images, or shapes, labels or groups are wrong.
    """
    sets, labels = np.asarray(sets), checked_labels(labels, classes)
    if sets.shape != (len(labels), len(classes)) or sets.dtype != bool:
        raise ValueError(
            f'sets have type {sets.dtype} and shape {sets.shape}, expected bool and '
            f'{(len(labels), len(classes))}'
        )
    codes = group_numbers(groups, len(labels))
    drawn = draw_one_of_each_group(codes, labels, seed)
    found = {}
    for number, name in enumerate(classes):
        chosen = sets[drawn[labels[drawn] == number]]
        if len(chosen):
            found[name] = _coverage(chosen, number, seed, resamples)
    return found


def _coverage(sets: np.ndarray, label: int, seed: int, resamples: int) -> SetCoverage:
    groups, hits, sizes = len(sets), int(sets[:, label].sum()), sets.sum(1)
    low, high = binomtest(hits, groups).proportion_ci(LEVEL, method='exact')
    if groups > 1:
        draws = np.concatenate(list(draw_groups(groups, resamples, seed)))
        size_interval = interval(draws @ sizes / groups)
    else:
        size_interval = (0.0, float(sets.shape[1]))
    return SetCoverage(
        groups,
        hits / groups,
        (float(low), float(high)),
        float(sizes.mean()),
        size_interval,
    )
