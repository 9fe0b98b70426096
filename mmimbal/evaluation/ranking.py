"""Ranking metrics: whether images of a class have higher scores than the others."""

from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import embedding_bag

from mmimbal.evaluation.confusion import divide

EXACT_IN_FLOAT32 = 2**24  # integers up to this


class RankedCounts(NamedTuple):
    """Images at the T thresholds that are scores of images of a class, highest first.

    Attributes:
        hits: Images of the class whose score is the threshold, (T, B).
        equal: All images whose score is the threshold, (T, B).
        above: All images with a higher score, (T, B).
    """

    hits: np.ndarray
    equal: np.ndarray
    above: np.ndarray


class Ranking:
    """The images of a class and those ranked above its last one.

    Other images change the metrics by their number alone. So this is short if a class
    is recognized well. It is made once and serves all weights.

    Args:
        scores: Scores of one class, (N,).
        is_class: Whether each image belongs to this class, (N,).
    """

    def __init__(self, scores: np.ndarray, is_class: np.ndarray) -> None:
        hits = np.flatnonzero(is_class)
        hits = hits[np.argsort(-scores[hits])]
        reached = np.flatnonzero(scores >= scores[hits[-1]]) if len(hits) else hits
        ranked = reached[np.argsort(-scores[reached])]
        falling = -scores[ranked]
        thresholds, first_hits = np.unique(-scores[hits], return_index=True)
        first, end = (falling.searchsorted(thresholds, s) for s in ('left', 'right'))
        # Images between two thresholds, then those at the next, and so on.
        starts = np.stack([np.append(0, end[:-1]), first], 1) if len(hits) else first
        self.hits, self.first_hits, self.ranked, self.starts = (
            torch.from_numpy(part.ravel().astype(np.int32))
            for part in (hits, first_hits, ranked, starts)
        )

    def count(self, weights: torch.Tensor) -> RankedCounts:
        """Count images.

        Args:
            weights: How often each image counts, (N, B); see :func:`to_add`.
        """
        if not len(self.hits):
            return RankedCounts(*np.zeros((3, 0, weights.shape[1])))
        hits = _sums(weights, self.hits, self.first_hits)
        between, equal = (
            _sums(weights, self.ranked, self.starts)
            .reshape(-1, 2, weights.shape[1])
            .swapaxes(0, 1)
        )
        return RankedCounts(hits, equal, np.cumsum(between + equal, 0) - equal)


def to_add(weights: np.ndarray) -> torch.Tensor:
    """Return weights, (B, N), as :class:`Ranking` adds them, (N, B).

    Small integers are added in float32: the sums are exact, and take half the time.
    """
    exact = weights.sum(1).max() <= EXACT_IN_FLOAT32 and (weights % 1 == 0).all()
    return torch.from_numpy(
        np.ascontiguousarray(weights.T, np.float32 if exact else np.float64)
    )


def _sums(
    weights: torch.Tensor, images: torch.Tensor, starts: torch.Tensor
) -> np.ndarray:
    """Return the sums of weights of consecutive images, from each start to the next."""
    return embedding_bag(images, weights, starts, mode='sum').double().numpy()


def auroc(counts: RankedCounts, images: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve, (B,); NaN without positives or negatives.

    Args:
        counts: Images at thresholds.
        images: Number of images, (B,).
    """
    hits, equal, above = counts
    positives = hits.sum(0)
    negatives = images - positives
    hits_above = np.cumsum(hits, 0) - hits
    higher = above - hits_above + (equal - hits) / 2  # a tie counts half
    return divide((hits * (negatives - higher)).sum(0), positives * negatives)


def average_precision(counts: RankedCounts, images: np.ndarray) -> np.ndarray:
    """Return the average precision, (B,); NaN without an image of the class.

    Arguments are those of :func:`auroc`.
    """
    hits, equal, above = counts
    precision = np.nan_to_num(divide(np.cumsum(hits, 0), above + equal))
    return divide((hits * precision).sum(0), hits.sum(0))


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
