"""The triplet loss over all triplets of a batch."""

import torch
from pytorch_metric_learning.distances import BaseDistance, LpDistance
from torch import nn

from mmimbal.models.losses.pairs import pair_masks
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

    Attributes:
        active_share: Of the last batch, the share of triplets above 0: among all
            triplets, or among the hardest of each anchor.

    Raises:
        ValueError: If the margin is negative, or mining or reduction is unknown.
    """

    active_share: torch.Tensor | None = None

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
        ref_emb: torch.Tensor | None = None,
        ref_labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Compute the loss of a batch; 0 if it has no triplet.

        Args:
            embeddings: Of the anchors, (B, D).
            labels: (B,).
            indices_tuple: Pairs of a miner: each positive of an anchor meets each of
                its negatives, once.
            ref_emb: What anchors are compared with, (M, D); the batch if ``None``.
            ref_labels: (M,).

        Raises:
            ValueError: If a miner has made triplets, or there are not as many labels as
                embeddings.
        """
        if len(labels) != len(embeddings):
            raise ValueError(f'{len(labels)} labels for {len(embeddings)} embeddings')
        if indices_tuple is not None and len(indices_tuple) != 4:
            raise ValueError(
                'BatchAllTripletLoss makes its own triplets: remove the miner, and '
                f'choose mining from {", ".join(MINING)}'
            )
        with torch.autocast(embeddings.device.type, enabled=False):
            distances = self.distance(
                in_full_precision(embeddings),
                None if ref_emb is None else in_full_precision(ref_emb),
            )
        if self.distance.is_inverted:
            distances = -distances
        positive, negative = pair_masks(labels, indices_tuple, ref_labels)
        if self.mining == 'hard':
            sums, active, mined = hard_triplets(
                distances, positive, negative, self.margin
            )
            among = mined
        else:
            sums, active = triplet_sums(
                distances, positive, negative, self.margin, self.mining == 'semi_hard'
            )
            among = positive.sum(1) * negative.sum(1)
            mined = among if self.mining == 'all' else active
        self.active_share = active.sum() / among.sum().clamp(min=1)
        if self.reduction == 'mean':
            return sums.sum() / mined.sum().clamp(min=1)
        if self.reduction == 'nonzero':
            return sums.sum() / active.sum().clamp(min=1)
        return average_over_classes(sums, active, mined, labels)


def in_full_precision(embeddings: torch.Tensor) -> torch.Tensor:
    """Return half precision as float32, and the rest as it is."""
    return embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))


def hard_triplets(
    distances: torch.Tensor,
    positive: torch.Tensor,
    negative: torch.Tensor,
    margin: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Take for each anchor its farthest positive and nearest negative.

    Args:
        distances: (B, M).
        positive: (B, M), bool.
        negative: (B, M), bool.
        margin: In units of the distances.

    Returns:
        Losses, (B,), and whether they are above 0 and whether there is a triplet, (B,),
        int64.
    """
    mined = positive.any(1) & negative.any(1)
    farthest = distances.masked_fill(~positive, -torch.inf).amax(1)
    nearest = distances.masked_fill(~negative, torch.inf).amin(1)
    violation = torch.where(mined, farthest - nearest + margin, 0.0)
    losses = violation.relu()
    return losses, (losses > 0).long(), mined.long()


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
