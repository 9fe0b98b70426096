"""The corrected resampled t-test of differences between rows, over folds."""

import math
from collections.abc import Sequence
from statistics import mean

from mmimbal.evaluation.corrected_t_test import corrected_t_test
from mmimbal.experiments.comparison import Comparison
from mmimbal.experiments.rows import Row


def p_value(
    comparison: Comparison, pairs: Sequence[tuple[str, str]], metric: str
) -> float | None:
    """Return the p-value of a mean difference, two-sided.

    Args:
        comparison: Comparison of a data set.
        pairs: Names of rows, each of which is compared with another one. The
            difference of a fold is the mean over pairs, of means over the seeds that
            both rows have.
        metric: The metric.

    Returns:
        The p-value; ``None`` with fewer than two folds, folds with common test images,
        an unknown number of training images, a missing score, or differences that are
        all equal.
    """
    ratio = comparison.test_to_train
    if ratio is None:
        return None

    def difference(ours: str, other: str, fold: object) -> float:
        ours_on, other_on = comparison.seeds_of(ours, other)
        return _of_fold(comparison.rows[ours], fold, ours_on, metric) - _of_fold(
            comparison.rows[other], fold, other_on, metric
        )

    by_fold = [
        mean(difference(ours, other, fold) for ours, other in pairs)
        for fold in comparison.folds
    ]
    found = corrected_t_test(by_fold, ratio)
    return None if math.isnan(found) else found


def p_text(value: float | None) -> str:
    """Return a p-value with three decimals, ``-`` if there is none."""
    if value is None:
        return '-'
    return '< 0.001' if value < 0.001 else f'{value:.3f}'


def _of_fold(row: Row, fold: object, seeds: Sequence[int], metric: str) -> float:
    """Return the mean over seeds on the test images of a fold; NaN if one lacks."""
    scores = (row.runs[fold, seed].get('test') or {} for seed in seeds)
    return mean(each.get(metric, math.nan) for each in scores)
