import numpy as np
import pytest
from scipy.stats import beta

from mmimbal.evaluation.conformal_coverage import coverage_of_sets
from tests.evaluation.simulated import CLASSES, own_groups


@pytest.fixture
def sets():
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], [60, 20])
    return random.random((80, 3)) < (0.9, 0.6, 0.3), labels


def test_each_class_by_hand(sets):
    chosen, labels = sets
    found = coverage_of_sets(*sets, own_groups(80), CLASSES, resamples=500)
    assert list(found) == ['nevus', 'melanoma']  # no test image of a scar
    for k, (name, number) in enumerate([('nevus', 60), ('melanoma', 20)]):
        mine, judged = chosen[labels == k], found[name]
        hits = mine[:, k].sum()
        assert judged.groups == number
        assert judged.coverage == pytest.approx(hits / number)
        assert judged.coverage_interval == pytest.approx(
            (
                beta.ppf(0.025, hits, number - hits + 1),
                beta.ppf(0.975, hits + 1, number - hits),
            )
        )
        assert judged.size == pytest.approx(mine.sum(1).mean())
        spread = 1.96 * mine.sum(1).std() / np.sqrt(number)
        low, high = judged.size_interval
        assert (high - low) / 2 == pytest.approx(spread, rel=0.15)
        assert low < judged.size < high


def test_a_group_counts_once(sets):
    thrice = [np.repeat(each, 3, axis=0) for each in sets]
    once = coverage_of_sets(*sets, own_groups(80), CLASSES, resamples=50)
    groups = np.repeat(own_groups(80), 3)
    assert coverage_of_sets(*thrice, groups, CLASSES, resamples=50) == once


def test_a_single_group_and_full_coverage():
    found = coverage_of_sets(np.ones((2, 3), bool), [0, 0], ['p', 'p'], CLASSES)
    judged = found['nevus']
    assert (judged.groups, judged.coverage, judged.size) == (1, 1.0, 3.0)
    assert judged.coverage_interval == pytest.approx((0.025, 1.0))
    assert judged.size_interval == (0.0, 3.0)


def test_bad_input_is_told(sets):
    chosen, labels = sets
    with pytest.raises(ValueError, match=r'shape \(80, 2\), expected bool and \(80, 3'):
        coverage_of_sets(chosen[:, :2], labels, own_groups(80), CLASSES)
    with pytest.raises(ValueError, match='type int64'):
        coverage_of_sets(chosen.astype(int), labels, own_groups(80), CLASSES)
    with pytest.raises(ValueError, match='at least one image'):
        coverage_of_sets(chosen[:0], labels[:0], [], CLASSES)
