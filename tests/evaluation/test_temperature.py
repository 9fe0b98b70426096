import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from mmimbal.evaluation import temperature
from mmimbal.evaluation.temperature import fit_temperature
from tests.evaluation.simulated import CLASSES, distorted, simulate


def cross_entropy(factor, probabilities, labels):
    logs = log_softmax(np.log(probabilities) * factor, axis=1)
    return -logs[np.arange(len(labels)), labels].mean()


@pytest.mark.parametrize('prior', [(0.6, 0.4), (0.7, 0.2, 0.1), (0.4, 0.3, 0.2, 0.1)])
def test_the_planted_temperature_is_found(prior):
    true, labels = simulate(np.random.default_rng(0), 4000, prior)
    sharp = distorted(true, factor=2.5)
    fitted = fit_temperature(sharp, labels, 'abcd'[: len(prior)])
    best = minimize_scalar(
        cross_entropy, (0.1, 1.0), (0.01, 10), args=(sharp, labels), method='bounded'
    )
    assert fitted.scale == pytest.approx([best.x] * len(prior), abs=1e-4)
    assert 1 / fitted.scale[0] == pytest.approx(2.5, rel=0.1)
    assert fitted.apply(sharp) == pytest.approx(true, abs=0.03)
    assert (fitted.apply(sharp).argmax(1) == sharp.argmax(1)).all()
    assert fitted.shift == (0.0,) * len(prior)
    assert fitted.shares == pytest.approx(np.bincount(labels) / 4000)


def test_a_class_may_have_a_single_image_and_a_probability_may_be_0():
    probabilities, labels = simulate(np.random.default_rng(1), 60)
    labels[labels == 2] = 0
    labels[2] = 2
    probabilities[5] = [1, 0, 0]
    labels[5] = 1
    fitted = fit_temperature(probabilities.astype(np.float32), labels, CLASSES)
    assert 0 < fitted.scale[0] < 1
    assert np.isfinite(fitted.apply(probabilities)).all()


def test_three_images_are_fitted_without_folds():
    rows = np.array([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.2, 0.2, 0.6]])
    fitted = fit_temperature(rows, np.arange(3), CLASSES)
    best = minimize_scalar(cross_entropy, (0.1, 3.0), args=(rows, np.arange(3)))
    assert fitted.scale[0] == pytest.approx(best.x, abs=1e-4)


def test_without_a_best_temperature_there_is_an_error():
    labels = np.array([0, 1, 2, 0])
    right = np.eye(3)[labels] * 0.7 + 0.1
    with pytest.raises(ValueError, match=r'4 calibration images: all are classified'):
        fit_temperature(right, labels, CLASSES)
    with pytest.raises(ValueError, match='no better than chance'):
        fit_temperature(right, (labels + 1) % 3, CLASSES)
    with pytest.raises(ValueError, match='no better than chance'):
        fit_temperature(np.full((4, 3), 1 / 3), labels, CLASSES)


def test_a_class_without_calibration_images_is_named():
    probabilities, labels = simulate(np.random.default_rng(0), 50)
    with pytest.raises(ValueError, match='no calibration image of melanoma, scar'):
        fit_temperature(probabilities, np.zeros_like(labels), CLASSES)


def test_old_scikit_learn_is_told(monkeypatch):
    monkeypatch.setattr(temperature, 'sklearn_version', '1.7.2')
    with pytest.raises(ImportError, match=r'>= 1.8 .* found 1.7.2'):
        fit_temperature(*simulate(np.random.default_rng(0), 50), CLASSES)
