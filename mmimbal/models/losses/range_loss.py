"""Range loss: the largest distances within a class, the smallest between classes."""

import torch
import torch.nn.functional as F
from torch import nn

from mmimbal.datasets.whole_number import whole_number
from mmimbal.models.losses.by_class import first_of_class, sum_over_classes
from mmimbal.models.losses.pairs import refuse_miner
from mmimbal.registry import MODELS


@MODELS.register_module()
class RangeLoss(nn.Module):
    """Range loss for long tails (https://arxiv.org/abs/1611.08976).

    Within each class of a batch, the harmonic mean of the k largest distances, averaged
    over the classes with two images or more; between classes, the margin less the
    smallest distance of two class means. So a common class has no more weight than a
    rare one. Distances are squared, of normalized embeddings: 0 to 4.

    Args:
        k: Number of distances in each class, at least 1.
        margin: Distance that class means should have, >= 0.
        within_weight: Weight of the distances within classes, >= 0.
        between_weight: Weight of the distance between classes, >= 0.

    Raises:
        ValueError: If an option is outside its range, or there is a miner.
    """

    takes_miner = False

    def __init__(
        self,
        k: int = 2,
        margin: float = 1.0,
        within_weight: float = 1.0,
        between_weight: float = 1.0,
    ) -> None:
        super().__init__()
        if min(margin, within_weight, between_weight) < 0:
            raise ValueError(
                f'margin={margin}, within_weight={within_weight} and '
                f'between_weight={between_weight} must not be negative'
            )
        self.k = whole_number('k', k)
        self.margin = margin
        self.within_weight = within_weight
        self.between_weight = between_weight

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        indices_tuple: tuple | None = None,
    ) -> torch.Tensor:
        """Compute the loss of a batch.

        Args:
            embeddings: (B, D); they are normalized here.
            labels: (B,).
            indices_tuple: Must be ``None``: this loss takes no miner.
        """
        refuse_miner(self, indices_tuple)
        directions = F.normalize(embeddings)
        within = mean_range(directions, labels, self.k)
        between = (self.margin - nearest_means(directions, labels)).relu()
        return self.within_weight * within + self.between_weight * between


def mean_range(points: torch.Tensor, labels: torch.Tensor, k: int) -> torch.Tensor:
    """Average the ranges of the classes: harmonic means of k largest distances.

    All classes at once: a GPU would have to wait for the size of each.

    Args:
        points: (B, D).
        labels: (B,).
        k: Number of distances; all if a class has fewer.

    Returns:
        A scalar; 0 if no class has two points.
    """
    owner = first_of_class(labels)
    pair = (owner[:, None] == owner).triu(1)
    distances = squared_distances(points).masked_fill(~pair, -1.0)
    largest = distances.topk(min(k, len(points))).values  # of each point
    owner = owner[:, None].expand_as(largest).flatten()
    largest = largest.flatten()
    # By class, and within each class from the largest distance, at most 4, downwards.
    order = (8 * owner - largest.detach().double()).argsort()
    owner, largest = owner[order], largest[order]
    rank = torch.arange(len(owner), device=owner.device)
    rank = rank - torch.searchsorted(owner, owner)
    counted = ((rank < k) & (largest >= 0)).to(largest)
    inverse = counted / largest.clamp(min=1e-6)
    sums, counts = sum_over_classes(owner, inverse, counted)
    ranges = counts / sums.clamp(min=1e-6)
    return ranges.sum() / (counts > 0).sum().clamp(min=1)


def nearest_means(points: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the smallest squared distance of two class means; inf for one class."""
    ones = torch.ones_like(points[:, :1])
    sums, counts = sum_over_classes(labels, points, ones)
    distances = squared_distances(sums / counts.clamp(min=1))
    is_class = counts > 0
    two_classes = (is_class & is_class.T).triu(1)
    return distances.masked_fill(~two_classes, torch.inf).amin()


def squared_distances(points: torch.Tensor) -> torch.Tensor:
    """Return the squared distances of all points, (M, D): (M, M)."""
    mode = 'donot_use_mm_for_euclid_dist'  # exact for near points
    return torch.cdist(points, points, compute_mode=mode).square()
