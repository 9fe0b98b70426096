import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from mmimbal.evaluation.calibration import (
    AT_ONCE,
    BINS,
    brier,
    calibration_error,
    log_loss,
    reliability,
)


@pytest.fixture
def images():
    random = np.random.default_rng(0)
    scores = random.dirichlet([0.5, 0.3, 0.2], 300)
    labels = random.integers(0, 3, 300)
    return scores, labels, random.integers(0, 3, (2, 300)).astype(float)


def test_calibration_error_bin_by_bin(images):
    scores, labels, weights = images
    for value, weight in zip(calibration_error(*images), weights, strict=True):
        repeats = weight.astype(int)
        top = np.repeat(scores.max(1), repeats)
        right = np.repeat(scores.argmax(1) == labels, repeats)
        expected = 0.0
        for number in range(BINS):
            inside = (top > number / BINS) & (top <= (number + 1) / BINS)
            if inside.any():
                gap = abs(top[inside].mean() - right[inside].mean())
                expected += inside.mean() * gap
        assert value == pytest.approx(expected)


def test_a_sure_and_right_model_is_calibrated():
    scores, labels = np.eye(3), np.arange(3)
    assert calibration_error(scores, labels, np.ones((1, 3))).tolist() == [0.0]
    assert calibration_error(scores, labels[::-1], np.ones((1, 3))) == pytest.approx(
        2 / 3
    )


def test_reliability_leaves_empty_bins_out(images):
    edges, confidence, accuracy, share = reliability(*images)
    assert edges.tolist() == np.linspace(0, 1, BINS + 1).tolist()
    assert (np.isnan(confidence) == (share == 0)).all()
    assert (np.isnan(accuracy) == (share == 0)).all()
    assert share.sum(1) == pytest.approx(1)


def test_brier_is_that_of_scikit_learn(images):
    scores, labels, weights = images
    expected = [
        brier_score_loss(labels, scores, sample_weight=weight, labels=[0, 1, 2])
        for weight in weights
    ]
    assert brier(*images) == pytest.approx(expected)


def test_log_loss_image_by_image(images):
    scores, labels, weights = images
    losses = [-np.log(row[label]) for row, label in zip(scores, labels, strict=True)]
    expected = [np.average(losses, weights=weight) for weight in weights]
    assert log_loss(*images) == pytest.approx(expected)


def test_log_loss_of_an_impossible_class_is_finite():
    found = log_loss(np.array([[0.0, 1.0]]), np.array([0]), np.ones((1, 1)))
    assert found == pytest.approx(-np.log(np.finfo(np.float32).tiny))


def test_brier_of_more_images_than_are_read_at_once():
    number = 2 * AT_ONCE + 7
    random = np.random.default_rng(0)
    scores = random.dirichlet([1, 1, 1], number)
    labels = random.integers(0, 3, number)
    expected = ((scores - np.eye(3)[labels]) ** 2).sum(1).mean()
    assert brier(scores, labels, np.ones((1, number))) == pytest.approx(expected)


def test_a_confidence_on_an_edge_is_in_the_lower_bin():
    assert BINS == 15
    confidence = np.array([9 / 15, 0.57])
    scores = np.stack([confidence, 1 - confidence], 1)
    share = reliability(scores, np.array([0, 0]), np.ones((1, 2)))[3][0]
    assert share[8] == 1  # (8/15, 9/15]
