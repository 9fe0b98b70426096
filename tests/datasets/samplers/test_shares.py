import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmimbal.datasets.samplers.shares import (
    at_least_one,
    effective_shares,
    largest_remainder,
    power_shares,
)

COUNTS = st.lists(st.integers(1, 10_000), min_size=1, max_size=20).map(np.array)


def test_power_by_hand():
    counts = np.array([900, 100])
    assert power_shares(counts, 1).tolist() == [0.9, 0.1]
    assert power_shares(counts, 0.5).tolist() == [0.75, 0.25]
    assert power_shares(counts, 0).tolist() == [0.5, 0.5]
    assert power_shares(counts, -1) == pytest.approx([0.1, 0.9])


@given(COUNTS, st.floats(0, 0.99999))
def test_effective_number_equals_the_sum_it_stands_for(counts, beta):
    """E(n) is 1 + beta + ... + beta^(n-1); an image weighs 1 / E(n)."""
    numbers = [np.sum(beta ** np.arange(count, dtype=float)) for count in counts]
    expected = counts / np.array(numbers)
    assert effective_shares(counts, beta) == pytest.approx(expected / expected.sum())


@given(COUNTS)
def test_effective_number_runs_from_natural_to_balanced(counts):
    assert effective_shares(counts, 0) == pytest.approx(power_shares(counts, 1))
    assert effective_shares(counts, 1 - 1e-9) == pytest.approx(
        power_shares(counts, 0), rel=1e-3
    )


@given(
    st.lists(st.floats(0.01, 100), min_size=1, max_size=20).map(np.array),
    st.integers(1, 1000),
)
def test_largest_remainder_is_exact_and_near(shares, total):
    quotas = largest_remainder(shares, total)
    assert quotas.sum() == total
    assert np.abs(quotas - shares / shares.sum() * total).max() < 1 + 1e-9


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20).map(np.array))
def test_no_quota_is_nothing_while_another_can_give_way(quotas):
    found = at_least_one(quotas)
    assert found.sum() == quotas.sum()
    assert found.min() >= min(1, quotas.sum() // len(quotas))
    untouched = (quotas > 0) & (quotas < quotas.max())
    assert (found[untouched] <= quotas[untouched]).all()
    if quotas.all():
        assert (found == quotas).all()
