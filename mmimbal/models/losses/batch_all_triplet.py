"""The triplet loss over all triplets of a batch."""

import torch
from pytorch_metric_learning.distances import BaseDistance, LpDistance
from torch import nn

from mmimbal.models.losses.triplet_sums import triplet_sums
from mmimbal.registry import MODELS

MINING = ('all', 'semi_hard', 'hard')
REDUCTIONS = ('nonzero', 'mean', 'class_balanced')


@MODELS.register_module()
class BatchAllTripletLoss(nn.Module):
    """Triplet margin loss over all triplets, in O(B^2 log B) time and O(B^2) memory.

    Value and gradient are those of ``TripletMarginLoss`` of pytorch-metric-learning
    without a miner, which makes O(B^3) triplets. https://arxiv.org/abs/1703.07737

    Args:
        margin: By how much a negative should be farther than a positive, in units of
            the distance, >= 0.
        distance: Of pytorch-metric-learning, or its config; Euclidean distance of
            normalized embeddings if ``None``. Of a similarity the negative is taken.
        mining: ``'all'`` triplets; the ``'semi_hard'`` ones, whose negative is farther
            than the positive; or for each anchor its farthest positive and nearest
            negative (``'hard'``).
        reduction: ``'nonzero'`` averages over triplets above 0 and ``'mean'`` over all
            that were mined. ``'class_balanced'`` averages as ``'nonzero'`` within the
            anchors of each class, and then over the classes that have triplets, so that
            each counts the same whatever its share of the batch.

    Raises:
        ValueError: If the margin is negative, or mining or reduction is unknown.
    """

    def __init__(
        self,
        margin: float = 0.2,
        distance: BaseDistance | dict | None = None,
        mining: str = 'all',
        reduction: str = 'nonzero',
    ) -> None:
        super().__init__()
        if margin < 0:
            raise ValueError(f'margin={margin} must not be negative')
        for name, value, known in (
            ('mining', mining, MINING),
            ('reduction', reduction, REDUCTIONS),
        ):
            if value not in known:
                raise ValueError(f'{name}={value!r} must be one of {", ".join(known)}')
        self.margin = margin
        self.mining = mining
        self.reduction = reduction
        if isinstance(distance, dict):
            distance = MODELS.build(distance)
        self.distance = distance or LpDistance()

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        indices_tuple: tuple | None = None,
    ) -> torch.Tensor:
        """Compute the loss of a batch; 0 if it has no triplet.

        Args:
            embeddings: (B, D).
            labels: (B,).
            indices_tuple: Pairs or triplets of a miner, which this loss does not take.

        Raises:
            ValueError: If there are pairs or triplets of a miner.
        """
        if indices_tuple is not None:
            raise ValueError(
                'BatchAllTripletLoss mines by itself: remove the miner, and choose '
                f'mining from {", ".join(MINING)}'
            )
        with torch.autocast(embeddings.device.type, enabled=False):
            distances = self.distance(embeddings.float())
        if self.distance.is_inverted:
            distances = -distances
        if self.mining == 'hard':
            sums, active, mined = hard_triplets(distances, labels, self.margin)
        else:
            semi_hard = self.mining == 'semi_hard'
            sums, active = triplet_sums(distances, labels, self.margin, semi_hard)
            mined = active if semi_hard else count_triplets(labels)
        if self.reduction == 'mean':
            return sums.sum() / mined.sum().clamp(min=1)
        if self.reduction == 'nonzero':
            return sums.sum() / active.sum().clamp(min=1)
        return average_over_classes(sums, active, mined, labels)


def hard_triplets(
    distances: torch.Tensor, labels: torch.Tensor, margin: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Take for each anchor its farthest positive and nearest negative.

    Args:
        distances: (B, B).
        labels: (B,).
        margin: In units of the distances.

    Returns:
        Losses, (B,), and whether they are above 0 and whether there is a triplet, (B,),
        int64.
    """
    same = labels[:, None] == labels
    positive = same.clone().fill_diagonal_(False)
    mined = positive.any(1) & ~same.all(1)
    farthest = distances.masked_fill(~positive, -torch.inf).amax(1)
    nearest = distances.masked_fill(same, torch.inf).amin(1)
    violation = torch.where(mined, farthest - nearest + margin, 0.0)
    losses = violation.relu()
    return losses, (losses > 0).long(), mined.long()


def count_triplets(labels: torch.Tensor) -> torch.Tensor:
    """Return how many triplets each anchor has, (B,), int64."""
    same = (labels[:, None] == labels).sum(1)
    return (same - 1) * (len(labels) - same)


def average_over_classes(
    sums: torch.Tensor, active: torch.Tensor, mined: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """Average over the active triplets of each class, then over classes.

    Args:
        sums: Sum over the triplets of each anchor, (B,).
        active: Triplets above 0 of each anchor, (B,), int64.
        mined: Triplets of each anchor, (B,), int64; classes without any are left out.
        labels: (B,).

    Returns:
        A scalar; 0 if there is no triplet.
    """
    classes, of_class = labels.unique(return_inverse=True)

    def total(values: torch.Tensor) -> torch.Tensor:
        return values.new_zeros(len(classes)).index_add(0, of_class, values)

    means = total(sums) / total(active).clamp(min=1)
    return means.sum() / (total(mined) > 0).sum().clamp(min=1)
