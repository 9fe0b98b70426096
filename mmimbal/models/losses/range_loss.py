"""Range loss: the largest distances within a class, the smallest between classes."""

import torch
import torch.nn.functional as F
from torch import nn

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

    def __init__(
        self,
        k: int = 2,
        margin: float = 1.0,
        within_weight: float = 1.0,
        between_weight: float = 1.0,
    ) -> None:
        super().__init__()
        if k < 1 or min(margin, within_weight, between_weight) < 0:
            raise ValueError(
                f'k={k} must be at least 1, and margin={margin}, '
                f'within_weight={within_weight} and between_weight={between_weight} '
                'must not be negative'
            )
        self.k = k
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
        zero = 0.0 * embeddings.sum()
        members = [directions[labels == label] for label in labels.unique()]
        ranges = [largest_distances(m, self.k) for m in members if len(m) > 1]
        within = torch.stack(ranges).mean() if ranges else zero
        means = torch.stack([m.mean(0) for m in members])
        if len(means) < 2:
            return zero + self.within_weight * within
        nearest = squared_distances(means).min()
        between = (self.margin - nearest).relu()
        return self.within_weight * within + self.between_weight * between


def largest_distances(points: torch.Tensor, k: int) -> torch.Tensor:
    """Return the harmonic mean of the k largest squared distances of points, (M, D)."""
    distances = squared_distances(points)
    largest = distances.topk(min(k, len(distances))).values
    return 1 / (1 / largest.clamp(min=1e-6)).mean()


def squared_distances(points: torch.Tensor) -> torch.Tensor:
    """Return the squared distance of each pair of points, (M, D): (M (M - 1) / 2,)."""
    first, second = torch.triu_indices(
        len(points), len(points), 1, device=points.device
    )
    return (points[first] - points[second]).square().sum(1)
