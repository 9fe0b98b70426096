"""Numbers that show in the log whether a metric loss has work left, or collapsed."""

import torch
import torch.nn.functional as F
from pytorch_metric_learning.distances import BaseDistance

from mmimbal.models.losses.pairs import pair_masks
from mmimbal.models.losses.triplet_sums import triplet_sums


@torch.no_grad()
def embedding_spread(embeddings: torch.Tensor) -> torch.Tensor:
    """Return how evenly directions fill the sphere, after https://arxiv.org/abs/2011.10566.

    Args:
        embeddings: (N, D), of any length.

    Returns:
        A scalar: 0 when all embeddings point the same way, 1 when they spread evenly.
    """
    directions = F.normalize(embeddings)
    return directions.var(dim=0, correction=0).sum().sqrt()


@torch.no_grad()
def active_triplets(
    embeddings: torch.Tensor,
    labels: torch.Tensor,
    distance: BaseDistance,
    margin: float,
) -> torch.Tensor:
    """Return the share of triplets whose negative is nearer than positive plus margin.

    Takes O(N^2 log N) time.

    Args:
        embeddings: (N, D).
        labels: (N,).
        distance: Of pytorch-metric-learning; a similarity is taken as its negative.
        margin: In units of the distance.

    Returns:
        A scalar in 0..1; 0 if there is no triplet.
    """
    distances = distance(embeddings)
    if distance.is_inverted:
        distances = -distances
    masks = pair_masks(labels)
    active = triplet_sums(distances, *masks, margin)[1]
    return active.sum() / torch.mul(*(mask.sum(1) for mask in masks)).sum().clamp(min=1)


def class_distances(
    sums: torch.Tensor, counts: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return how wide classes are, and how far from the nearest other.

    Args:
        sums: Of the unit embeddings of each class, (K, D).
        counts: How many those are, (K,).

    Returns:
        Root mean square distance to the mean of the own class, 0..1, (K,), and distance
        from that mean to the nearest of another class, 0..2, (K,); NaN where a class
        has no image, or no other class has.
    """
    means = sums / counts[:, None]
    own = (1 - means.square().sum(1)).clamp(min=0).sqrt()
    between = torch.cdist(means, means).fill_diagonal_(torch.inf)
    nearest = between.nan_to_num(torch.inf, posinf=torch.inf).amin(1)
    missing = (counts == 0) | nearest.isinf()
    return own, nearest.masked_fill(missing, torch.nan)
