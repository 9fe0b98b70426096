import numpy as np
import pytest
from scipy.stats import ttest_1samp

from mmimbal.evaluation.corrected_t_test import corrected_t_test

VALUES = [1.2, 0.4, 2.0, -0.3, 0.9]


def test_the_statistic_is_that_of_the_plain_test_made_smaller():
    """By the square root of (1 / J) / (1 / J + n_test / n_train)."""
    plain = ttest_1samp(VALUES, 0)
    statistic = plain.statistic * np.sqrt(0.2 / (0.2 + 0.25))
    draws = np.random.default_rng(0).standard_t(4, 2_000_000)
    expected = (np.abs(draws) > abs(statistic)).mean()
    found = corrected_t_test(VALUES, test_to_train=0.25)
    assert found == pytest.approx(expected, abs=2e-3)
    assert found > plain.pvalue


def test_a_test_set_of_almost_nothing_is_the_plain_test():
    found = corrected_t_test(VALUES, test_to_train=1e-12)
    assert found == pytest.approx(ttest_1samp(VALUES, 0).pvalue)


def test_equal_differences():
    """They do not show how much folds vary; also if they differ by rounding."""
    for values in ([1.0, 1.0], [0.0, 0.0], [0.1 + 0.2, 0.3, 0.3]):
        assert np.isnan(corrected_t_test(values, 0.5))


@pytest.mark.parametrize(('values', 'ratio'), [([1.0], 0.2), (VALUES, 0), (VALUES, -1)])
def test_what_cannot_be_tested_is_refused(values, ratio):
    with pytest.raises(ValueError, match='needs at least two folds'):
        corrected_t_test(values, ratio)
