"""Ranking metrics: whether images of a class have higher scores than the others."""

import numpy as np

from mmimbal.evaluation.confusion import divide


def auroc(scores: np.ndarray, is_class: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve, (B,); NaN without positives or negatives.

    Args:
        scores: Scores of one class, (N,).
        is_class: Whether each image belongs to this class, (N,).
        weights: How often each image counts, (B, N).
    """
    hits, false_alarms = ranked(scores, is_class, weights)
    steps = np.diff(false_alarms, prepend=0.0)
    middles = hits - np.diff(hits, prepend=0.0) / 2
    return divide((steps * middles).sum(-1), hits[:, -1] * false_alarms[:, -1])


def average_precision(
    scores: np.ndarray, is_class: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return the average precision, (B,); NaN without an image of the class.

    Arguments are those of :func:`auroc`.
    """
    hits, false_alarms = ranked(scores, is_class, weights)
    precision = np.nan_to_num(divide(hits, hits + false_alarms))
    steps = np.diff(hits, prepend=0.0)
    return divide((steps * precision).sum(-1), hits[:, -1])


def ranked(
    scores: np.ndarray, is_class: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return true and false positives at each threshold, from the highest score down.

    Args:
        scores: Scores of one class, (N,), with T different values.
        is_class: Whether each image belongs to this class, (N,).
        weights: How often each image counts, (B, N).

    Returns:
        Number of images of the class, and of other images, whose score is at least the
        threshold, (B, T) each.
    """
    order = np.argsort(-scores, kind='stable')
    last_of_equals = np.flatnonzero(np.diff(scores[order], append=-np.inf))
    weights, is_class = weights[:, order], is_class[order]
    return (
        np.cumsum(weights * is_class, 1, float)[:, last_of_equals],
        np.cumsum(weights * ~is_class, 1, float)[:, last_of_equals],
    )
