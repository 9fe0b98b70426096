"""Calibration: whether scores agree with frequencies."""

import numpy as np

from mmimbal.evaluation.confusion import divide

BINS = 15
LOWEST = float(np.finfo(np.float32).tiny)  # float32 rounds lower ones to 0


def calibration_error(
    scores: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return the expected calibration error of the highest score, (B,), 0..1.

    It is the mean distance between confidence and accuracy over 15 bins of equal width,
    weighted by their shares of the images (https://arxiv.org/abs/1706.04599).

    Args:
        scores: Probabilities, (N, K).
        labels: True class of each image, (N,).
        weights: How often each image counts, (B, N).
    """
    _, confidence, accuracy, share = reliability(scores, labels, weights)
    return np.nansum(share * np.abs(confidence - accuracy), axis=1)


def reliability(
    scores: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Return the values of a reliability diagram; see :func:`calibration_error`.

    Returns:
        Edges of the bins, (16,). Then, for each bin, the mean confidence, the accuracy
        (both NaN if the bin is empty) and the share of the images, (B, 15) each.
    """
    edges = np.linspace(0, 1, BINS + 1)
    confidence = scores.max(1)
    right = scores.argmax(1) == labels
    number = np.clip(np.searchsorted(edges, confidence, 'left') - 1, 0, BINS - 1)
    inside = (number[:, None] == np.arange(BINS)).astype(float)
    total = weights @ inside
    return (
        edges,
        divide(weights @ (inside * confidence[:, None]), total),
        divide(weights @ (inside * right[:, None]), total),
        total / total.sum(1, keepdims=True),
    )


def brier(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the Brier score, (B,), 0..2.

    It is the mean over images of the squared error, summed over classes. Arguments are
    those of :func:`calibration_error`.
    """
    truth = np.eye(scores.shape[1])[labels]
    return weights @ ((scores - truth) ** 2).sum(1) / weights.sum(1)


def log_loss(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean of -log(probability of the true class), (B,), in nats.

    A probability of 0 counts as the smallest normal number of float32. Arguments are
    those of :func:`calibration_error`.
    """
    true = scores[np.arange(len(labels)), labels].astype(float)
    return -weights @ np.log(np.maximum(true, LOWEST)) / weights.sum(1)
