"""Metrics as reductions of confusion matrices.

A confusion matrix is (..., K, K), rows true classes, columns predicted ones. Classes
that do not occur are left out of averages as scikit-learn does. All results are (...,)
or (..., K), in 0..1, but for those that also reach below 0.
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
        classes: Their number, K.
        weights: How often each image counts, (B, N).
    """
    cells = labels * classes + predictions
    found = [np.bincount(cells, row, classes * classes) for row in weights]
    return np.stack(found).reshape(-1, classes, classes)


def recall_per_class(confusion: np.ndarray) -> np.ndarray:
    """Return the share of each class that was recognised; NaN if it is absent."""
    return divide(_hits(confusion), confusion.sum(-1))


def balanced_accuracy(confusion: np.ndarray) -> np.ndarray:
    """Return the mean recall over the classes present."""
    return mean(recall_per_class(confusion))


def accuracy(confusion: np.ndarray) -> np.ndarray:
    """Return the share of images that were recognised."""
    return divide(_hits(confusion).sum(-1), confusion.sum((-2, -1)))


def f1_per_class(confusion: np.ndarray) -> np.ndarray:
    """Return F1 of each class; NaN if it is neither present nor predicted."""
    return divide(2 * _hits(confusion), confusion.sum(-2) + confusion.sum(-1))


def macro_f1(confusion: np.ndarray) -> np.ndarray:
    """Return the mean F1 over the classes present or predicted."""
    return mean(f1_per_class(confusion))


def specificity(confusion: np.ndarray) -> np.ndarray:
    """Return the mean over the classes present of true negatives by all negatives."""
    present = confusion.sum(-1)
    negatives = present.sum(-1, keepdims=True) - present
    false_alarms = confusion.sum(-2) - _hits(confusion)
    return mean(np.where(present > 0, 1 - divide(false_alarms, negatives), np.nan))


def g_mean(confusion: np.ndarray) -> np.ndarray:
    """Return the geometric mean of the recalls of the classes present."""
    with np.errstate(divide='ignore'):
        return np.exp(mean(np.log(recall_per_class(confusion))))


def worst_recall(confusion: np.ndarray) -> np.ndarray:
    """Return the lowest recall of a class present."""
    return np.nan_to_num(recall_per_class(confusion), nan=np.inf).min(-1)


def matthews(confusion: np.ndarray) -> np.ndarray:
    """Return Matthews' correlation coefficient, -1..1; 0 if one side is constant."""
    total = confusion.sum((-2, -1))
    true, predicted = confusion.sum(-1), confusion.sum(-2)
    covariance = _hits(confusion).sum(-1) * total - (true * predicted).sum(-1)
    variances = [total**2 - (side**2).sum(-1) for side in (true, predicted)]
    scale = np.sqrt(variances[0]) * np.sqrt(variances[1])
    return np.where(scale > 0, divide(covariance, scale), 0.0)


def kappa(confusion: np.ndarray) -> np.ndarray:
    """Return Cohen's kappa, -1..1; NaN if both sides are the same constant."""
    total = confusion.sum((-2, -1))
    chance = (confusion.sum(-1) * confusion.sum(-2)).sum(-1) / total**2
    return divide(accuracy(confusion) - chance, 1 - chance)


def group_recall(confusion: np.ndarray, classes: Sequence[int]) -> np.ndarray:
    """Return the mean recall over those of some classes that are present."""
    return mean(recall_per_class(confusion)[..., list(classes)])


def divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return a quotient; NaN where the denominator is 0."""
    with np.errstate(divide='ignore', invalid='ignore'):
        return np.where(denominator == 0, np.nan, numerator / denominator)


def mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis of what is not NaN; NaN if all is."""
    known = ~np.isnan(values)
    return divide(np.where(known, values, 0.0).sum(-1), known.sum(-1))


def _hits(confusion: np.ndarray) -> np.ndarray:
    return np.diagonal(confusion, axis1=-2, axis2=-1)
