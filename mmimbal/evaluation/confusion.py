"""Metrics as reductions of confusion matrices.

A confusion matrix has shape (..., K, K); rows are true classes, columns are predicted
classes. Means over classes ignore classes that do not occur, as in scikit-learn. All
results have shape (...,) or (..., K). They are in 0..1 if nothing else is said.
"""

from collections.abc import Sequence

import numpy as np


def count_confusions(
    labels: np.ndarray, predictions: np.ndarray, classes: int, weights: np.ndarray
) -> np.ndarray:
    """Return confusion matrices, (B, K, K).

    Args:
        labels: True class of each image, (N,).
        predictions: Predicted class, (N,).
        classes: Number of classes, K.
        weights: How often each image counts, (B, N).
    """
    cells = labels * classes + predictions
    matrices = [np.bincount(cells, row, classes * classes) for row in weights]
    return np.stack(matrices).reshape(-1, classes, classes)


def recall_per_class(confusion: np.ndarray) -> np.ndarray:
    """Return the recall of each class; NaN if the class has no images."""
    return divide(_hits(confusion), confusion.sum(-1))


def balanced_accuracy(confusion: np.ndarray) -> np.ndarray:
    """Return the mean recall over the classes that have images."""
    return mean(recall_per_class(confusion))


def accuracy(confusion: np.ndarray) -> np.ndarray:
    """Return the share of images that were classified correctly."""
    return divide(_hits(confusion).sum(-1), confusion.sum((-2, -1)))


def f1_per_class(confusion: np.ndarray) -> np.ndarray:
    """Return F1 of each class; NaN if it has no images and is never predicted."""
    return divide(2 * _hits(confusion), confusion.sum(-2) + confusion.sum(-1))


def macro_f1(confusion: np.ndarray) -> np.ndarray:
    """Return the mean F1 over the classes that have images or are predicted."""
    return mean(f1_per_class(confusion))


def specificity(confusion: np.ndarray) -> np.ndarray:
    """Return the mean specificity (true negatives / negatives) over present classes."""
    present = confusion.sum(-1)
    negatives = present.sum(-1, keepdims=True) - present
    false_alarms = confusion.sum(-2) - _hits(confusion)
    return mean(np.where(present > 0, 1 - divide(false_alarms, negatives), np.nan))


def g_mean(confusion: np.ndarray) -> np.ndarray:
    """Return the geometric mean of recall over the classes that have images."""
    with np.errstate(divide='ignore'):
        return np.exp(mean(np.log(recall_per_class(confusion))))


def worst_recall(confusion: np.ndarray) -> np.ndarray:
    """Return the lowest recall among the classes that have images."""
    return np.nan_to_num(recall_per_class(confusion), nan=np.inf).min(-1)


def matthews(confusion: np.ndarray) -> np.ndarray:
    """Return Matthews' correlation coefficient, -1..1.

    It is 0 if all true labels, or all predictions, are the same class.
    """
    total = confusion.sum((-2, -1))
    true, predicted = confusion.sum(-1), confusion.sum(-2)
    covariance = _hits(confusion).sum(-1) * total - (true * predicted).sum(-1)
    variances = [total**2 - (side**2).sum(-1) for side in (true, predicted)]
    scale = np.sqrt(variances[0]) * np.sqrt(variances[1])
    return np.where(scale > 0, divide(covariance, scale), 0.0)


def kappa(confusion: np.ndarray) -> np.ndarray:
    """Return Cohen's kappa, -1..1.

    It is NaN if all true labels and all predictions are the same class.
    """
    total = confusion.sum((-2, -1))
    chance = (confusion.sum(-1) * confusion.sum(-2)).sum(-1) / total**2
    return divide(accuracy(confusion) - chance, 1 - chance)


def group_recall(confusion: np.ndarray, classes: Sequence[int]) -> np.ndarray:
    """Return the mean recall over those ``classes`` that have images."""
    return mean(recall_per_class(confusion)[..., list(classes)])


def divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return a quotient; NaN where the denominator is 0."""
    with np.errstate(divide='ignore', invalid='ignore'):
        return np.where(denominator == 0, np.nan, numerator / denominator)


def mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis, ignoring NaN; NaN if all values are."""
    known = ~np.isnan(values)
    return divide(np.where(known, values, 0.0).sum(-1), known.sum(-1))


def _hits(confusion: np.ndarray) -> np.ndarray:
    return np.diagonal(confusion, axis1=-2, axis2=-1)
