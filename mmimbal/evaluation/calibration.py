"""Calibration: whether scores agree with frequencies."""

import numpy as np

from mmimbal.evaluation.confusion import divide

BINS = 15
AT_ONCE = 1024  # images
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
    return error_of_bins(*confidence_and_hits(scores, labels), weights)


def confidence_and_hits(
    scores: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the highest score of each image, (N,), and whether it is right, (N,)."""
    return scores.max(1).astype(float), scores.argmax(1) == labels


def error_of_bins(
    confidence: np.ndarray, right: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return :func:`calibration_error` of results of :func:`confidence_and_hits`.

    Args:
        confidence: Highest score of each image, (N,).
        right: Whether it is right, (N,).
        weights: How often each image counts, (B, N).

    Returns:
        (B,).
    """
    _, mean, accuracy, share = bins(confidence, right, weights)
    return np.nansum(share * np.abs(mean - accuracy), axis=1)


def reliability(
    scores: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Return the values of a reliability diagram; see :func:`calibration_error`.

    Returns:
        Edges of the bins, (16,). Then, for each bin, the mean confidence, the accuracy
        (both NaN if the bin is empty) and the share of the images, (B, 15) each.
    """
    return bins(*confidence_and_hits(scores, labels), weights)


def bins(
    confidence: np.ndarray, right: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Return :func:`reliability` of results of :func:`confidence_and_hits`.

    Arguments are those of :func:`error_of_bins`.
    """
    edges = np.linspace(0, 1, BINS + 1)
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
    return weights @ squared_errors(scores, labels) / weights.sum(1)


def squared_errors(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the squared error of each image, summed over classes, (N,)."""
    errors = []
    for start in range(0, len(labels), AT_ONCE):  # a copy of all would be large
        part = scores[start : start + AT_ONCE].astype(float)
        part[np.arange(len(part)), labels[start : start + AT_ONCE]] -= 1
        errors.append((part**2).sum(1))
    return np.concatenate(errors)


def log_loss(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean of -log(probability of the true class), (B,), in nats.

    A probability of 0 counts as the smallest normal number of float32. Arguments are
    those of :func:`calibration_error`.
    """
    true = scores[np.arange(len(labels)), labels].astype(float)
    return -weights @ np.log(np.maximum(true, LOWEST)) / weights.sum(1)
