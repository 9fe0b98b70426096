import sys
import warnings

import numpy as np
import pytest

from mmimbal.evaluation.conformal import fit_conformal_sets, groups_needed_for_sets
from tests.evaluation.simulated import CLASSES, binomial_range, own_groups, simulate


def test_p_values_image_by_image():
    random = np.random.default_rng(0)
    probabilities, labels = simulate(random, 120)
    fitted = fit_conformal_sets(probabilities, labels, own_groups(120), CLASSES)
    new, _ = simulate(random, 30)
    new[0] = probabilities[0]  # equal scores count
    found, sets = fitted.p_values(new), fitted.apply(new)
    for row, values, chosen in zip(new, found, sets, strict=True):
        for k in range(3):
            scores = probabilities[labels == k, k]
            expected = (1 + sum(scores <= row[k])) / (1 + len(scores))
            assert values[k] == pytest.approx(expected)
            assert chosen[k] == (expected > 0.05 + 1e-9)
    assert fitted.holds and sets.any(0).all() and not sets.all(1).all()


def test_the_promised_coverage_is_met_and_hardly_exceeded():
    """One new image of each class in each trial; exact chances for each class."""
    random, trials, sizes = np.random.default_rng(0), 1000, (60, 24, 14)
    labels = np.repeat(np.arange(3), np.multiply(sizes, 3))
    groups = np.repeat(own_groups(sum(sizes)), 3)
    hits, hits_all = np.zeros(3), np.zeros(3)

    def draw(which):  # the images of a group look alike
        seen = random.normal(size=(len(which), 3)) + np.eye(3)[which]
        powers = np.exp(seen)
        return powers / powers.sum(1, keepdims=True)

    for trial in range(trials):
        calibration = np.repeat(draw(labels[::3]), 3, axis=0)
        new = draw(np.arange(3))
        fit = dict(confidence=0.9, seed=trial)
        fitted = fit_conformal_sets(calibration, labels, groups, CLASSES, **fit)
        hits += np.diag(fitted.apply(new))
        fitted = fit_conformal_sets(
            calibration, labels, groups, CLASSES, all_images=True, **fit
        )
        hits_all += np.diag(fitted.apply(new))
    for size, number, number_all in zip(sizes, hits, hits_all, strict=True):
        exact = 1 - np.floor((size + 1) / 10) / (size + 1)
        assert 0.9 <= exact <= 0.9 + 1 / (size + 1)
        low, high = binomial_range(trials, exact)
        assert low <= number <= high
        # As if three equal images were three groups, more than a tenth is left out.
        left_out = 1 + np.floor(((3 * size + 1) / 10 - 1) / 3)
        low, high = binomial_range(trials, 1 - left_out / (size + 1))
        assert low <= number_all <= high
        assert size == 60 or 1 - left_out / (size + 1) < 0.89
    assert not fitted.holds and 'not promised' in fitted.notes()[-1]


def test_a_class_of_few_groups_is_in_every_set():
    assert groups_needed_for_sets(0.95) == 19 and groups_needed_for_sets(0.9) == 9
    assert groups_needed_for_sets(0.99) == 99 and groups_needed_for_sets(0.9999) == 9999
    assert groups_needed_for_sets(0.8) == 4 and groups_needed_for_sets(0.94) == 16
    labels = np.array([0] * 19 + [1] * 18)
    probabilities = np.full((37, 3), 1 / 3)
    fitted = fit_conformal_sets(probabilities, labels, own_groups(37), CLASSES)
    never = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    assert fitted.apply(never).tolist() == [[False, True, True], [True, True, True]]
    assert fitted.in_every_set() == ['melanoma', 'scar']
    melanoma, scar = fitted.notes()
    assert melanoma == (
        'melanoma is in every set: it has 18 calibration groups, and 19 are needed for '
        '0.95.'
    )
    assert scar.startswith('scar is in every set: it has 0')


@pytest.mark.parametrize('confidence', [0.8, 0.9, 0.95, 0.99, 0.999])
def test_needed_groups_are_where_a_class_is_first_left_out(confidence):
    needed = groups_needed_for_sets(confidence)
    never = np.array([[0.0, 1.0]])
    for number, inside in ((needed, False), (needed - 1, True)):
        fitted = fit_conformal_sets(
            np.full((number, 2), 0.5),
            np.zeros(number, int),
            own_groups(number),
            ('a', 'b'),
            confidence=confidence,
        )
        assert fitted.apply(never)[0, 0] == inside
        assert ('a' in fitted.in_every_set()) == inside


def test_tiny_probabilities_are_told_apart():
    scores = np.arange(1, 21) * 1e-30
    fitted = fit_conformal_sets(
        np.stack([1 - scores, scores], 1),
        np.ones(20, int),
        own_groups(20),
        ('a', 'b'),
    )
    new = np.array([[1.0, 0.5e-30], [1.0, 1.5e-30]])
    assert fitted.p_values(new)[:, 1] == pytest.approx([1 / 21, 2 / 21])
    assert fitted.apply(new)[:, 1].tolist() == [False, True]


def test_one_image_of_each_group_is_drawn():
    probabilities, labels = simulate(np.random.default_rng(0), 90)
    groups = np.repeat(own_groups(30), 3)
    arguments = probabilities, labels, groups, CLASSES
    one, same, other = (fit_conformal_sets(*arguments, seed=s) for s in (0, 0, 1))
    assert one == same and one.scores != other.scores
    for k, scores in enumerate(one.scores):
        assert len(scores) == len(set(groups[labels == k]))
        assert set(scores) <= set(probabilities[labels == k, k])
        assert list(scores) == sorted(scores)
    every = fit_conformal_sets(*arguments, all_images=True)
    assert sum(map(len, every.scores)) == 90 and not every.holds


def test_equal_scores_and_one_group_and_no_new_images():
    probabilities, labels = np.full((40, 2), 0.5), np.repeat([0, 1], 20)
    fitted = fit_conformal_sets(probabilities, labels, own_groups(40), ('a', 'b'))
    assert fitted.apply(probabilities).all()
    assert fitted.apply(np.empty((0, 2))).shape == (0, 2)
    single = fit_conformal_sets(probabilities, labels, ['p'] * 40, ('a', 'b'))
    assert single.in_every_set() == ['a', 'b'] and single.apply(np.eye(2)).all()


@pytest.mark.parametrize('confidence', [0.0, 1.0, 95, np.nan])
def test_bad_confidence_is_told(confidence):
    with pytest.raises(ValueError, match='confidence must be between 0 and 1'):
        fit_conformal_sets(
            np.eye(2), np.array([0, 1]), ['p', 'q'], ('a', 'b'), confidence=confidence
        )


def test_without_crepes_the_extra_is_named(monkeypatch):
    images = np.eye(2), np.array([0, 1]), ['p', 'q'], ('a', 'b')
    fitted = fit_conformal_sets(*images)
    monkeypatch.setitem(sys.modules, 'crepes', None)
    with pytest.raises(ImportError, match=r"pip install 'mmimbal\[decisions\]'"):
        fitted.apply(np.eye(2))


def test_importing_crepes_changes_no_filter_of_warnings(monkeypatch):
    for name in [each for each in sys.modules if each.split('.')[0] == 'crepes']:
        monkeypatch.delitem(sys.modules, name)
    before = list(warnings.filters)
    images = np.eye(2), np.array([0, 1]), ['p', 'q'], ('a', 'b')
    fit_conformal_sets(*images).apply(np.eye(2))
    assert 'crepes' in sys.modules and warnings.filters == before
