"""The triplet loss over all triplets of a batch."""

import copy

import torch
from pytorch_metric_learning import reducers
from pytorch_metric_learning.distances import BaseDistance, LpDistance
from pytorch_metric_learning.reducers import BaseReducer
from pytorch_metric_learning.regularizers import BaseRegularizer
from torch import nn

from mmimbal.models.losses.pairs import pair_masks
from mmimbal.models.losses.triplet_sums import triplet_sums
from mmimbal.registry import MODELS

MINING = ('all', 'semi_hard', 'hard')
REDUCTIONS = ('nonzero', 'mean', 'sum', 'class_balanced')
# Which reduction a reducer is, beside its weights or bounds.
REDUCERS = {
    reducers.AvgNonZeroReducer: 'nonzero',
    reducers.ThresholdReducer: 'nonzero',
    reducers.MeanReducer: 'mean',
    reducers.ClassWeightedReducer: 'mean',
    reducers.SumReducer: 'sum',
}


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
            that were mined; ``'sum'`` adds them. ``'class_balanced'`` averages as
            ``'nonzero'`` within the anchors of each class, and then over the classes
            that have triplets, so that each counts the same whatever its share of the
            batch.
        reducer: Of pytorch-metric-learning, or its config, in place of a reduction:
            ``AvgNonZeroReducer``, ``MeanReducer``, ``SumReducer``, ``ThresholdReducer``
            with ``low`` of 0 or more, or ``ClassWeightedReducer``. As fast as the
            reductions. With ``collect_stats``, it gets ``losses_size`` and
            ``num_past_filter``.
        embedding_regularizer: Of pytorch-metric-learning, such as ``LpRegularizer``, or
            its config. What it says of ``embeddings`` is added to the loss.
        embedding_reg_weight: Weight of that, >= 0.

    Attributes:
        active_share: Of the last batch, the share of triplets above 0, or within the
            bounds of a ``ThresholdReducer``: among all triplets, or among the hardest
            of each anchor.

    Raises:
        ValueError: If the margin or the weight is negative, mining or reduction is
            unknown, there are both a reduction and a reducer, or the reducer needs the
            loss of each triplet.
    """

    active_share: torch.Tensor | None = None

    def __init__(
        self,
        margin: float = 0.2,
        distance: BaseDistance | dict | None = None,
        mining: str = 'all',
        reduction: str = 'nonzero',
        reducer: BaseReducer | dict | None = None,
        embedding_regularizer: BaseRegularizer | dict | None = None,
        embedding_reg_weight: float = 1,
    ) -> None:
        super().__init__()
        for name, number in (
            ('margin', margin),
            ('embedding_reg_weight', embedding_reg_weight),
        ):
            if number < 0:
                raise ValueError(f'{name}={number} must not be negative')
        for name, value, known in (
            ('mining', mining, MINING),
            ('reduction', reduction, REDUCTIONS),
        ):
            if value not in known:
                raise ValueError(f'{name}={value!r} must be one of {", ".join(known)}')
        self.margin = margin
        self.mining = mining
        self.reduction = reduction
        self.distance = built(distance) or LpDistance()
        self.reducer = copy.deepcopy(built(reducer))
        if reducer is not None:
            if reduction != 'nonzero':
                raise ValueError(
                    f'reduction={reduction!r} and a reducer exclude each other'
                )
            self.reduction = reduction_of(self.reducer)
        self.embedding_regularizer = built(embedding_regularizer)
        self.embedding_reg_weight = embedding_reg_weight

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        indices_tuple: tuple | None = None,
        ref_emb: torch.Tensor | None = None,
        ref_labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Compute the loss of a batch; without a triplet, 0 and the regularizer's part.

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
        embeddings = in_full_precision(embeddings)
        with torch.autocast(embeddings.device.type, enabled=False):
            distances = self.distance(
                embeddings, None if ref_emb is None else in_full_precision(ref_emb)
            )
            if self.distance.is_inverted:
                distances = -distances
            loss = self._reduce(
                distances, labels, *pair_masks(labels, indices_tuple, ref_labels)
            )
            if self.embedding_regularizer is None:
                return loss
            added = self.embedding_regularizer(embeddings)
            return loss + self.embedding_reg_weight * added

    def _reduce(
        self,
        distances: torch.Tensor,
        labels: torch.Tensor,
        positive: torch.Tensor,
        negative: torch.Tensor,
    ) -> torch.Tensor:
        """Reduce the triplets of distances, (B, M), to a scalar."""
        low = getattr(self.reducer, 'low', 0.0)
        high = getattr(self.reducer, 'high', None)
        weights = getattr(self.reducer, 'weights', None)
        if self.mining == 'hard':
            sums, active, mined = hard_triplets(
                distances, positive, negative, self.margin, low, high
            )
            among = mined
        else:
            semi_hard = self.mining == 'semi_hard'
            sums, active = triplet_sums(
                distances, positive, negative, self.margin, semi_hard, low, high
            )
            mined = among = positive.sum(1) * negative.sum(1)
            if semi_hard:
                mined = active
                if low or high is not None:
                    mined = triplet_sums(
                        distances.detach(), positive, negative, self.margin, True
                    )[1]
        self.active_share = active.sum() / among.sum().clamp(min=1)
        self._keep_stats(mined, active)
        if self.reduction == 'class_balanced':
            return average_over_classes(sums, active, mined, labels)
        if weights is not None:
            sums = sums * weights_of(labels, weights).to(sums)
        if self.reduction == 'sum':
            return sums.sum()
        averaged = active if self.reduction == 'nonzero' else mined
        return sums.sum() / averaged.sum().clamp(min=1)

    def _keep_stats(self, mined: torch.Tensor, active: torch.Tensor) -> None:
        """Tell the reducer how many triplets there were, if it collects that."""
        if getattr(self.reducer, 'collect_stats', False):
            self.reducer.losses_size = mined.sum().item()
            if hasattr(self.reducer, 'num_past_filter'):
                self.reducer.num_past_filter = active.sum().item()


def built(component: nn.Module | dict | None) -> nn.Module | None:
    """Build a component that is given as its config."""
    return MODELS.build(component) if isinstance(component, dict) else component


def reduction_of(reducer: BaseReducer) -> str:
    """Return the reduction that a reducer of pytorch-metric-learning stands for.

    Raises:
        ValueError: If it cannot be computed from sums over the triplets of an anchor.
    """
    if type(reducer) not in REDUCERS:
        raise ValueError(
            f'BatchAllTripletLoss cannot use {type(reducer).__name__}, since it makes '
            'sums over triplets, not the loss of each. Choose from '
            f'{", ".join(known.__name__ for known in REDUCERS)}, or use '
            'mmimbal.TripletMarginLoss'
        )
    low = getattr(reducer, 'low', 0.0)
    if low is None or low < 0:
        raise ValueError(
            f'{type(reducer).__name__}(low={low}) would average over triplets of loss '
            '0 as well: give it low=0 or more, or use mmimbal.TripletMarginLoss'
        )
    return REDUCERS[type(reducer)]


def weights_of(labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the weight of the class of each label, (B,), out of K weights.

    Raises:
        ValueError: If there is a class without a weight.
    """
    if (labels >= len(weights)).any():
        raise ValueError(
            f'{len(weights)} weights of classes do not reach to label {labels.max()}'
        )
    return weights.to(labels.device)[labels]


def in_full_precision(embeddings: torch.Tensor) -> torch.Tensor:
    """Return half precision as float32, and the rest as it is."""
    return embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))


def hard_triplets(
    distances: torch.Tensor,
    positive: torch.Tensor,
    negative: torch.Tensor,
    margin: float,
    low: float = 0.0,
    high: float | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Take for each anchor its farthest positive and nearest negative.

    Args:
        distances: (B, M).
        positive: (B, M), bool.
        negative: (B, M), bool.
        margin: In units of the distances.
        low: Losses that are not above this become 0.
        high: Losses that are not below this become 0, if it is not ``None``.

    Returns:
        Losses, (B,), and whether they were kept and whether there is a triplet, (B,),
        int64.
    """
    mined = positive.any(1) & negative.any(1)
    farthest = distances.masked_fill(~positive, -torch.inf).amax(1)
    nearest = distances.masked_fill(~negative, torch.inf).amin(1)
    violation = torch.where(mined, farthest - nearest + margin, 0.0)
    dropped = violation <= low
    if high is not None:
        dropped |= violation >= high
    return violation.masked_fill(dropped, 0.0), (~dropped).long(), mined.long()


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
