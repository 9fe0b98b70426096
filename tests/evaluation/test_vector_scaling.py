import numpy as np
import pytest
from scipy.optimize import OptimizeResult, approx_fprime, minimize
from scipy.special import softmax

from mmimbal.evaluation import vector_scaling
from mmimbal.evaluation.recalibration import log_probabilities
from mmimbal.evaluation.vector_scaling import (
    common_factor,
    fit_vector_scaling,
    hessian,
    loss_and_gradient,
)
from tests.evaluation.simulated import CLASSES, distorted, simulate


def naive_loss(parameters, probabilities, labels):
    """Return the mean loss, image by image."""
    scale, shift = parameters[:3], parameters[3:]
    total = ((scale - 1) ** 2).sum() / 2 + (shift**2).sum() / 2
    for row, label in zip(probabilities, labels, strict=True):
        powers = [p**a * np.exp(b) for p, a, b in zip(row, scale, shift, strict=True)]
        total -= np.log(powers[label] / sum(powers))
    return total / len(labels)


def test_it_is_what_l_bfgs_finds():
    true, labels = simulate(np.random.default_rng(0), 150)
    images = distorted(true, 1.7, (0.0, -1.0, 1.0)), labels
    factor = common_factor(log_probabilities(images[0]), images[1])
    powers = images[0] ** factor * 3 ** (factor - 1)
    best = minimize(naive_loss, np.ones(6), (powers, labels), method='L-BFGS-B')
    fitted = fit_vector_scaling(*images, CLASSES)
    scale = np.array(fitted.scale) / factor
    shift = np.array(fitted.shift) - scale * (factor - 1) * np.log(3)
    assert np.append(scale, shift) == pytest.approx(best.x, abs=2e-3)
    assert naive_loss(np.append(scale, shift), powers, labels) <= best.fun + 1e-9


@pytest.mark.parametrize('factor', [0.02, 0.3, 1.0, 5.0])
def test_probabilities_of_any_sharpness_are_calibrated(factor):
    """Nearest mean gives nearly equal ones: far from a scale of 1."""
    true, labels = simulate(np.random.default_rng(0), 1000)
    wrong = softmax(factor * np.log(true), axis=1)
    logits = log_probabilities(wrong)
    found = common_factor(logits, labels)
    losses = [
        -np.log(softmax(k * logits, axis=1)[np.arange(1000), labels]).mean()
        for k in (0.99 * found, found, 1.01 * found)
    ]
    assert losses[1] == min(losses)
    assert found * factor == pytest.approx(1, rel=0.1)
    fitted = fit_vector_scaling(wrong, labels, CLASSES)
    assert np.abs(fitted.apply(wrong) - true).mean() < 0.02


def test_probabilities_no_better_than_chance_have_the_factor_1():
    labels = np.array([0] * 20 + [1] * 5 + [2])
    assert common_factor(np.log(np.full((26, 3), 1 / 3)), labels) == 1


@pytest.mark.parametrize('sharpness', [1e-4, 3e-3, 0.1, 1.0])
@pytest.mark.parametrize('images', [60, 300])
def test_images_that_are_all_right_stay_right(sharpness, images):
    """Calibration does not predict the common class for all of them."""
    random = np.random.default_rng(0)
    labels = random.choice(5, 2 * images, p=[0.6, 0.25, 0.1, 0.035, 0.015])
    labels[:5] = labels[-5:] = np.arange(5)
    logits = random.normal(size=(2 * images, 5))
    logits[np.arange(2 * images), labels] += 8
    probabilities = softmax(sharpness * logits, axis=1)
    assert (probabilities.argmax(1) == labels).all()
    fitted = fit_vector_scaling(probabilities[:images], labels[:images], list('abcde'))
    found = fitted.apply(probabilities[images:])
    assert (found.argmax(1) == labels[images:]).mean() > 0.98
    assert found.max(1).mean() > 0.9


def test_derivatives_are_those_of_differences():
    random = np.random.default_rng(1)
    probabilities, labels = simulate(random, 40)
    at, images = random.normal(size=6), (log_probabilities(probabilities), labels)
    slopes = approx_fprime(at, lambda p: loss_and_gradient(p, *images)[0])
    assert loss_and_gradient(at, *images)[1] == pytest.approx(slopes, abs=1e-5)
    curves = approx_fprime(at, lambda p: loss_and_gradient(p, *images)[1])
    assert hessian(at, *images) == pytest.approx(curves, abs=1e-5)


def test_true_probabilities_are_found_again():
    true, labels = simulate(np.random.default_rng(0), 6000)
    wrong = distorted(true, 2.0, (0.0, 2.0, -1.0))
    fitted = fit_vector_scaling(wrong, labels, CLASSES)
    found = fitted.apply(wrong)
    assert np.abs(wrong - true).mean() > 0.08
    assert np.abs(found - true).mean() < 0.01
    assert found.mean(0) == pytest.approx(fitted.shares, abs=1e-3)
    assert fitted.method == 'vector'


@pytest.mark.parametrize('shape', ['right', 'equal', 'certain'])
def test_a_fit_exists_for_degenerate_probabilities(shape):
    labels = np.array([0] * 20 + [1] * 5 + [2])
    rows = dict(
        right=np.eye(3)[labels] * 0.7 + 0.1,
        equal=np.full((26, 3), 1 / 3),
        certain=np.eye(3)[labels[::-1]],
    )[shape]
    fitted = fit_vector_scaling(rows, labels, CLASSES)
    found = fitted.apply(rows)
    assert np.isfinite(found).all() and found.sum(1) == pytest.approx(1)
    if shape == 'equal':
        assert found[0] == pytest.approx(np.array([20, 5, 1]) / 26, abs=0.08)


def test_a_class_without_calibration_images_is_named():
    with pytest.raises(ValueError, match='no calibration image of scar'):
        fit_vector_scaling(np.full((2, 3), 1 / 3), np.array([0, 1]), CLASSES)


@pytest.mark.parametrize('seed', [15, 42, 70, 99])
def test_a_search_that_ends_at_the_rounding_of_the_loss_has_found_the_fit(seed):
    """It then sees no descent, and calls that a failure."""
    random = np.random.default_rng(seed)
    labels = random.choice(7, 1500, p=[0.64] + [0.06] * 6)
    logits = 3 * random.normal(size=(1500, 7))
    logits[np.arange(1500), labels] += 5
    probabilities = softmax(logits, axis=1)
    fitted = fit_vector_scaling(probabilities, labels, list('abcdefg'))
    logits = log_probabilities(probabilities)
    factor = common_factor(logits, labels)
    moved, scale = (factor - 1) * np.log(7), np.array(fitted.scale) / factor
    parameters = np.append(scale, np.array(fitted.shift) - moved * scale)
    _, gradient = loss_and_gradient(parameters, factor * logits + moved, labels)
    assert np.abs(gradient).max() < 1e-6


def test_a_search_without_a_fit_says_what_to_use(monkeypatch):
    probabilities, labels = simulate(np.random.default_rng(0), 150)
    lost = OptimizeResult(success=False, message='lost', jac=np.ones(6), x=np.ones(6))
    monkeypatch.setattr(vector_scaling, 'minimize', lambda *_, **__: lost)
    with pytest.raises(ValueError, match=r'finds no fit: lost\. Use --method temp'):
        fit_vector_scaling(probabilities, labels, CLASSES)
