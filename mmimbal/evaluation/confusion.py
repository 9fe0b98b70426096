"""Metrics as reductions of confusion matrices.

They need no complete matrix, (K, K), but only the hits and the sums of rows and
columns: with many classes and resamples, matrices would not fit in memory. Means over
classes ignore classes that do not occur, as in scikit-learn. All results have shape
(...,) or (..., K). They are in 0..1 if nothing else is said.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class ConfusionCounts(NamedTuple):
    """Images of each class in confusion matrices.

    Attributes:
        hits: Images predicted correctly, (..., K).
        true: Images of the class, (..., K).
        predicted: Images predicted as the class, (..., K).
    """

    hits: np.ndarray
    true: np.ndarray
    predicted: np.ndarray

    @classmethod
    def of(cls, confusion: np.ndarray) -> 'ConfusionCounts':
        """Return the counts of confusion matrices, (..., K, K)."""
        hits = np.diagonal(confusion, axis1=-2, axis2=-1)
        return cls(hits, confusion.sum(-1), confusion.sum(-2))


def count_predictions(
    labels: np.ndarray, predictions: np.ndarray, classes: int, weights: np.ndarray
) -> ConfusionCounts:
    """Return the images of each class, (B, K) each.

    Args:
        labels: True class of each image, (N,).
        predictions: Predicted class of each image, (N,).
        classes: Number of classes, K.
        weights: How often each image counts, (B, N).
    """
    right = labels == predictions

    def count(of: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return np.stack([np.bincount(of, row, classes) for row in weights])

    return ConfusionCounts(
        count(labels[right], weights[:, right]),
        count(labels, weights),
        count(predictions, weights),
    )


def recall_per_class(counts: ConfusionCounts) -> np.ndarray:
    """Return the recall of each class; NaN if the class has no images."""
    return divide(counts.hits, counts.true)


def balanced_accuracy(counts: ConfusionCounts) -> np.ndarray:
    """Return the mean recall over the classes that have images."""
    return mean(recall_per_class(counts))


def accuracy(counts: ConfusionCounts) -> np.ndarray:
    """Return the share of images that were classified correctly."""
    return divide(counts.hits.sum(-1), counts.true.sum(-1))


def f1_per_class(counts: ConfusionCounts) -> np.ndarray:
    """Return F1 of each class; NaN if it has no images and is never predicted."""
    return divide(2 * counts.hits, counts.predicted + counts.true)


def macro_f1(counts: ConfusionCounts) -> np.ndarray:
    """Return the mean F1 over the classes that have images or are predicted."""
    return mean(f1_per_class(counts))


def specificity(counts: ConfusionCounts) -> np.ndarray:
    """Return the mean specificity (true negatives / negatives) over present classes."""
    present = counts.true
    negatives = present.sum(-1, keepdims=True) - present
    false_alarms = counts.predicted - counts.hits
    return mean(np.where(present > 0, 1 - divide(false_alarms, negatives), np.nan))


def g_mean(counts: ConfusionCounts) -> np.ndarray:
    """Return the geometric mean of recall over the classes that have images."""
    with np.errstate(divide='ignore'):
        return np.exp(mean(np.log(recall_per_class(counts))))


def worst_recall(counts: ConfusionCounts) -> np.ndarray:
    """Return the lowest recall among the classes that have images."""
    return np.nan_to_num(recall_per_class(counts), nan=np.inf).min(-1)


def matthews(counts: ConfusionCounts) -> np.ndarray:
    """Return Matthews' correlation coefficient, -1..1.

    It is 0 if all true labels, or all predictions, are the same class.
    """
    total = counts.true.sum(-1)
    true, predicted = counts.true, counts.predicted
    covariance = counts.hits.sum(-1) * total - (true * predicted).sum(-1)
    variances = [total**2 - (side**2).sum(-1) for side in (true, predicted)]
    scale = np.sqrt(variances[0]) * np.sqrt(variances[1])
    return np.where(scale > 0, divide(covariance, scale), 0.0)


def kappa(counts: ConfusionCounts) -> np.ndarray:
    """Return Cohen's kappa, -1..1.

    It is NaN if all true labels and all predictions are the same class.
    """
    total = counts.true.sum(-1)
    chance = (counts.true * counts.predicted).sum(-1) / total**2
    return divide(accuracy(counts) - chance, 1 - chance)


def group_recall(counts: ConfusionCounts, classes: Sequence[int]) -> np.ndarray:
    """Return the mean recall over those ``classes`` that have images."""
    return mean(recall_per_class(counts)[..., list(classes)])


def divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return a quotient; NaN where the denominator is 0."""
    with np.errstate(divide='ignore', invalid='ignore'):
        return np.where(denominator == 0, np.nan, numerator / denominator)


def mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis, ignoring NaN; NaN if all values are."""
    known = ~np.isnan(values)
    return divide(np.where(known, values, 0.0).sum(-1), known.sum(-1))
