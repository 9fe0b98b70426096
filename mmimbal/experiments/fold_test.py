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
            difference of a fold is the mean over pairs, of means over seeds.
        metric: The metric.

    Returns:
        The p-value; ``None`` with fewer than two folds, folds with common test images,
        an unknown number of training images, a missing score, or differences that are
        all equal.
    """
    ratio = comparison.test_to_train
    if ratio is None:
        return None
    by_fold = [
        mean(
            _of_fold(comparison.rows[ours], fold, metric)
            - _of_fold(comparison.rows[other], fold, metric)
            for ours, other in pairs
        )
        for fold in comparison.folds
    ]
    found = corrected_t_test(by_fold, ratio)
    return None if math.isnan(found) else found


def p_text(value: float | None) -> str:
    """Return a p-value with three decimals, ``-`` if there is none."""
    if value is None:
        return '-'
    return '< 0.001' if value < 0.001 else f'{value:.3f}'


def _of_fold(row: Row, fold: object, metric: str) -> float:
    """Return the mean over seeds on the test images of a fold; NaN if one lacks."""
    scores = (run.get('test') or {} for (of, _), run in row.runs.items() if of == fold)
    return mean(each.get(metric, math.nan) for each in scores)
