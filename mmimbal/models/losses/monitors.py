"""Monitors of a metric loss: active triplets, collapse, class distances."""

import torch
import torch.nn.functional as F
from pytorch_metric_learning.distances import BaseDistance

from mmimbal.models.losses.pairs import pair_masks
from mmimbal.models.losses.triplet_sums import triplet_sums


@torch.no_grad()
def embedding_spread(embeddings: torch.Tensor) -> torch.Tensor:
    """Measure how evenly embeddings fill the sphere (https://arxiv.org/abs/2011.10566).

    Args:
        embeddings: (N, D); they are normalized here.

    Returns:
        A scalar: 0 if all directions are equal, 1 if they are spread evenly.
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
    """Compute the share of triplets that violate the margin, in O(N^2 log N) time.

    Args:
        embeddings: (N, D).
        labels: (N,).
        distance: Distance of pytorch-metric-learning. Similarities are negated.
        margin: Margin, in units of the distance.

    Returns:
        A scalar in 0..1; 0 if there is no triplet.
    """
    distances = distance(embeddings)
    masks = pair_masks(labels)
    if distance.is_inverted:  # s_an - s_ap is d_ap - d_an
        masks = masks[::-1]
    active = triplet_sums(distances, *masks, margin)[1]
    return active.sum() / torch.mul(*(mask.sum(1) for mask in masks)).sum().clamp(min=1)


def class_distances(
    sums: torch.Tensor, counts: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the radius of each class, and the distance to its nearest class.

    Args:
        sums: Sum of the normalized embeddings of each class, (K, D).
        counts: Number of embeddings of each class, (K,).

    Returns:
        Root mean square distance of the embeddings to their class mean, in 0..1, (K,),
        and distance from the class mean to the nearest mean of another class, in 0..2,
        (K,). NaN for a class without images; the distance is also NaN if no other class
        has images.
    """
    means = sums / counts[:, None]
    own = (1 - means.square().sum(1)).clamp(min=0).sqrt()
    mode = 'donot_use_mm_for_euclid_dist'  # exact for near means
    between = torch.cdist(means, means, compute_mode=mode).fill_diagonal_(torch.inf)
    nearest = between.nan_to_num(torch.inf, posinf=torch.inf).amin(1)
    missing = (counts == 0) | nearest.isinf()
    return own, nearest.masked_fill(missing, torch.nan)
