"""How well the score of a class ranks its images above the others."""

import numpy as np

from mmimbal.evaluation.confusion import divide


def auroc(scores: np.ndarray, is_class: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve, (B,); NaN without both sides.

    Args:
        scores: Of a class, (N,).
        is_class: Whether an image is of that class, (N,).
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
    """Return hits and false alarms at each threshold, from the highest score down.

    Args:
        scores: Of a class, (N,), T of them different.
        is_class: Whether an image is of that class, (N,).
        weights: How often each image counts, (B, N).

    Returns:
        How many images of the class, and of others, are at or above it, (B, T) each.
    """
    order = np.argsort(-scores, kind='stable')
    last_of_equals = np.flatnonzero(np.diff(scores[order], append=-np.inf))
    weights, is_class = weights[:, order], is_class[order]
    return (
        np.cumsum(weights * is_class, 1, float)[:, last_of_equals],
        np.cumsum(weights * ~is_class, 1, float)[:, last_of_equals],
    )
