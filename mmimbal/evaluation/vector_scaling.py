"""Vector scaling: a scale and a shift for the log-probability of each class."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax

from mmimbal.evaluation.calibration_images import (
    are_all_right,
    are_no_better_than_chance,
    checked_images,
    class_shares,
)
from mmimbal.evaluation.recalibration import Calibration, log_probabilities

LOG_FACTORS = (-10.0, 10.0)  # between which the common factor is searched
GRADIENT = 1e-8  # of the mean loss, where the search stops
ROUNDING = 1e-6  # the search may end above GRADIENT by the rounding of the loss


def fit_vector_scaling(
    probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[str]
) -> Calibration:
    """Fit a scale and a shift for each class on calibration images.

    It is the vector scaling of https://arxiv.org/abs/1706.04599 on log-probabilities.
    First one factor for all classes is fitted, then the scale of each class is this
    factor times a number with a normal prior around 1; each shift has one around 0.
    These priors have a standard deviation of 1. They keep rare classes finite, which a
    plain fit does not. The predicted class of an image may change.

    Args:
        probabilities: Probabilities of N calibration images, (N, K).
        labels: True class of each, (N,).
        classes: K class names.

    Raises:
        ValueError: If the input is bad (see :func:`checked_images`), or a class has no
            calibration image, or no fit is found.
    """
    probabilities, labels = checked_images(probabilities, labels, classes)
    shares = class_shares(labels, classes)
    logits, number = log_probabilities(probabilities), len(classes)
    factor = common_factor(logits, labels)
    # Equal probabilities stay log-probabilities. Else those of a high factor would be
    # far from 0, where scales and shifts mean the same.
    moved = (factor - 1) * np.log(number)
    found = minimize(
        loss_and_gradient,
        np.repeat([1.0, 0.0], number),
        (factor * logits + moved, labels),
        method='trust-exact',
        jac=True,
        hess=hessian,
        options=dict(gtol=GRADIENT, maxiter=1000),
    )
    if not found.success and np.linalg.norm(found.jac) > ROUNDING:
        raise ValueError(
            f'vector scaling finds no fit: {found.message}. Use --method temperature, '
            'which has one number to find'
        )
    scale, shift = found.x.reshape(2, number)
    return Calibration(
        tuple(classes),
        'vector',
        tuple((factor * scale).tolist()),
        tuple((shift + moved * scale).tolist()),
        tuple(shares.tolist()),
    )


def common_factor(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the factor of all logits, > 0, with the lowest cross-entropy.

    It is 1 if the probabilities are no better than chance. If all images are right,
    the highest factor would be best; then the labels are smoothed by the worth of one
    image in N + 1, as by Platt (1999) for two classes.

    Args:
        logits: Log-probabilities, (N, K).
        labels: True class of each image, (N,).
    """
    if are_no_better_than_chance(logits, labels):
        return 1.0
    rows = np.arange(len(labels))
    smoothed = 1 / (len(labels) + 1) if are_all_right(logits, labels) else 0.0

    def loss(log_factor: float) -> float:
        logs = log_softmax(np.exp(log_factor) * logits, axis=1)
        true = (1 - smoothed) * logs[rows, labels]
        return -(true + smoothed * logs.mean(1)).sum()

    found = minimize_scalar(loss, bounds=LOG_FACTORS, method='bounded')
    return float(np.exp(found.x))


def loss_and_gradient(
    parameters: np.ndarray, logits: np.ndarray, labels: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the mean loss of scales and shifts, and its gradient, (2K,).

    Args:
        parameters: K scales, then K shifts, (2K,).
        logits: Log-probabilities, (N, K).
        labels: True class of each image, (N,).
    """
    scale, shift = parameters.reshape(2, -1)
    logs = log_softmax(logits * scale + shift, axis=1)
    rows = np.arange(len(labels))
    wrong = np.exp(logs)
    wrong[rows, labels] -= 1
    pull = parameters - np.repeat([1.0, 0.0], len(scale))
    loss = -logs[rows, labels].sum() + (pull**2).sum() / 2
    gradient = np.concatenate([(wrong * logits).sum(0), wrong.sum(0)]) + pull
    return loss / len(labels), gradient / len(labels)


def hessian(
    parameters: np.ndarray, logits: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Return the second derivatives of the mean loss, (2K, 2K)."""
    scale, shift = parameters.reshape(2, -1)
    new = np.exp(log_softmax(logits * scale + shift, axis=1))
    moved = new * logits
    both = np.hstack([moved, new])
    corner = np.diag(moved.sum(0))
    diagonals = np.block(
        [[np.diag((moved * logits).sum(0)), corner], [corner, np.diag(new.sum(0))]]
    )
    return (diagonals - both.T @ both + np.eye(len(parameters))) / len(labels)
