"""The corrected resampled t-test of cross-validation."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import t


def corrected_t_test(differences: Sequence[float], test_to_train: float) -> float:
    """Return the p-value of the mean difference over folds, two-sided.

    The training sets of folds overlap, so that folds vary less than independent data
    sets would. Nadeau and Bengio (2003, doi:10.1023/A:1024068626366) correct the
    variance of the mean by ``1 / J + n_test / n_train`` instead of ``1 / J``.

    Args:
        differences: Difference between two methods on each of J folds, (J,).
        test_to_train: ``n_test / n_train`` of a fold, above 0. Validation images are
            in neither.

    Returns:
        The p-value. NaN if all differences are equal but for rounding: then the folds
        do not show how much it varies.

    Raises:
        ValueError: If there are fewer than two folds, or the ratio is not positive.
    """
    values = np.asarray(differences, float)
    if len(values) < 2 or test_to_train <= 0:
        raise ValueError(
            f'{len(values)} folds with test_to_train={test_to_train}: the test needs '
            'at least two folds, and a positive ratio'
        )
    variance = values.var(ddof=1)
    if math.sqrt(variance) <= 1e-9 * np.abs(values).max():
        return math.nan
    factor = 1 / len(values) + test_to_train
    statistic = values.mean() / math.sqrt(factor * variance)
    return float(2 * t.sf(abs(statistic), len(values) - 1))
