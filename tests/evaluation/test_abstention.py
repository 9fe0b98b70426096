import numpy as np
import pytest

from mmimbal.evaluation import abstention
from mmimbal.evaluation.abstention import (
    answered,
    best_area_under_risk,
    fit_confidence_threshold,
    risk_coverage,
)
from mmimbal.evaluation.bootstrap import draw_weights, interval
from tests.evaluation.simulated import CLASSES, own_groups, simulate

ONCE = np.ones((1, 200))


@pytest.fixture
def images():
    return simulate(np.random.default_rng(0), 200)


def area_under_risk(*images):
    return abstention.area_under_risk(*risk_coverage(*images)[1:])


def excess_area_under_risk(*images):
    return area_under_risk(*images) - best_area_under_risk(*images)


def naive_area(probabilities, labels):
    """Return the mean risk of the most confident 1, 2, ... N images."""
    order = np.argsort(-probabilities.max(1))
    wrong = probabilities.argmax(1)[order] != labels[order]
    return np.mean([wrong[: n + 1].mean() for n in range(len(labels))])


def test_area_image_by_image(images):
    assert area_under_risk(*images, ONCE) == pytest.approx(naive_area(*images))


def test_weights_are_how_often_an_image_counts(images):
    times = np.random.default_rng(1).integers(0, 3, (3, 200))
    for function in (
        area_under_risk,
        lambda *a: answered(*a, 0.8)[0],
        lambda *a: answered(*a, 0.8)[1],
    ):
        found = function(*images, times.astype(float))
        for value, repeats in zip(found, times, strict=True):
            again = [np.repeat(each, repeats, axis=0) for each in images]
            expected = function(*again, np.ones((1, repeats.sum())))
            assert value == pytest.approx(expected[0])


def test_images_of_equal_confidence_are_answered_together():
    probabilities = np.array([[0.9, 0.1], [0.1, 0.9], [0.4, 0.6], [0.6, 0.4]])
    labels = np.array([0, 0, 1, 1])
    confidence, coverage, risk = risk_coverage(probabilities, labels, np.ones((1, 4)))
    assert confidence.tolist() == [0.9, 0.6]
    assert coverage.tolist() == [[0.5, 1.0]] and risk.tolist() == [[0.5, 0.5]]


def test_risk_of_a_calibrated_model_is_what_it_says():
    probabilities, labels = simulate(np.random.default_rng(1), 20000)
    confidence, coverage, risk = risk_coverage(
        probabilities, labels, np.ones((1, 20000))
    )
    doubts = np.cumsum(1 - confidence) / np.arange(1, 20001)
    for share in (0.2, 0.5, 1.0):
        place = int(share * 20000) - 1
        assert coverage[0, place] == pytest.approx(share)
        assert risk[0, place] == pytest.approx(doubts[place], abs=0.006)


def test_excess_is_0_for_the_best_order_and_highest_for_the_worst(images):
    probabilities, labels = images
    wrong = probabilities.argmax(1) != labels
    assert 0.1 < wrong.mean() < 0.5
    excess = excess_area_under_risk(*images, ONCE)[0]

    def of_order(doubt, weights=ONCE):
        confidence = 1 - np.argsort(np.argsort(doubt)) / 400  # 0.5 .. 1
        predicted = np.where(wrong, 0, 1)
        rows = np.where(
            np.eye(2)[predicted] == 1, confidence[:, None], 1 - confidence[:, None]
        )
        return excess_area_under_risk(rows, np.ones(200, int), weights)[0]

    often = np.random.default_rng(1).integers(0, 4, (1, 200)).astype(float)
    for weights in (ONCE, often):
        assert of_order(wrong, weights) == pytest.approx(0, abs=1e-12)
    assert 0 < excess < of_order(~wrong)


@pytest.mark.parametrize('images_and_errors', [(10, 2), (50, 10), (5000, 1000)])
def test_the_best_area_image_by_image(images_and_errors):
    number, errors = images_and_errors
    labels = np.zeros(number, int)
    wrong = np.arange(number) < errors  # the most confident ones
    rows = np.stack([~wrong, wrong], 1) * np.linspace(0.9, 0.6, number)[:, None]
    found = best_area_under_risk(rows, labels, np.ones((1, number)))[0]
    risks = [max(0, n - number + errors) / n for n in range(1, number + 1)]
    assert found == pytest.approx(np.mean(risks))
    if number == 5000:  # close to the integral
        assert found == pytest.approx(0.2 + 0.8 * np.log(0.8), abs=1e-3)


@pytest.mark.parametrize('rows', [np.eye(3)[[0, 0]], [[0.5, 0.3, 0.2]] * 2])
def test_all_right_and_all_wrong(rows):
    rows, once = np.array(rows), np.ones((1, 2))
    for label, area in ((0, 0.0), (1, 1.0)):
        labels = np.array([label] * 2)
        assert area_under_risk(rows, labels, once).tolist() == [area]
        assert excess_area_under_risk(rows, labels, once).tolist() == [0.0]


def test_the_threshold_answers_most_at_the_wanted_accuracy(images):
    probabilities, labels = images
    fitted = fit_confidence_threshold(*images, CLASSES, 0.9)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    good = [c for c in confidence if right[confidence >= c].mean() >= 0.9]
    assert fitted.value == min(good) and 0 < fitted.coverage < 1
    kept = fitted.apply(probabilities)
    assert (kept == (confidence >= min(good))).all()
    assert fitted.accuracy == pytest.approx(right[kept].mean())
    assert fitted.answered == kept.sum()
    coverage, accuracy = answered(*images, ONCE, fitted.value)
    assert coverage == pytest.approx(fitted.coverage)
    assert accuracy == pytest.approx(fitted.accuracy)
    assert fitted.apply(probabilities.astype(np.float32)).sum() >= kept.sum() - 1


def test_on_new_images_it_is_about_the_wanted_accuracy():
    random = np.random.default_rng(5)
    found = []
    for _ in range(60):
        fitted = fit_confidence_threshold(*simulate(random, 400), CLASSES, 0.85)
        new = simulate(random, 400)
        found.append(answered(*new, np.ones((1, 400)), fitted.value)[1][0])
    assert np.mean(found) == pytest.approx(0.85, abs=0.015)


def test_intervals_by_groups(images):
    groups = np.repeat(own_groups(50), 4)
    weights = np.concatenate(list(draw_weights(groups, 100, seed=0)))
    for function in (area_under_risk, excess_area_under_risk):
        low, high = interval(function(*images, weights))
        assert low < function(*images, ONCE)[0] < high


def test_what_cannot_be_reached_is_told(images):
    rows = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
    with pytest.raises(ValueError, match=r'0.9 on 3 .* best is 0.667, for 1 of'):
        fit_confidence_threshold(rows, np.array([1, 0, 0]), ('a', 'b'), 0.9)
    with pytest.raises(ValueError, match=r'accuracy must be between 0 and 1.* got 90'):
        fit_confidence_threshold(*images, CLASSES, 90)
    coverage, accuracy = answered(*images, ONCE, 1.1)
    assert coverage == 0 and np.isnan(accuracy)


def test_an_accuracy_that_is_just_reached_is_reached():
    """1 - 0.07 is below 0.93 in floating point."""
    labels = (np.arange(100) < 7).astype(int)
    scores = np.tile([0.8, 0.2], (100, 1))
    assert fit_confidence_threshold(scores, labels, ('a', 'b'), 0.93).answered == 100
