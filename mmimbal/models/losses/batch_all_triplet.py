"""The triplet loss over all triplets of a batch."""

import copy

import torch
from pytorch_metric_learning.distances import BaseDistance, LpDistance
from pytorch_metric_learning.reducers import BaseReducer
from pytorch_metric_learning.regularizers import BaseRegularizer
from torch import nn

from mmimbal.models.losses.by_class import average_over_classes
from mmimbal.models.losses.pairs import pair_masks
from mmimbal.models.losses.precision import in_full_precision
from mmimbal.models.losses.reductions import reduction_of, weights_of
from mmimbal.models.losses.triplet_sums import triplet_sums
from mmimbal.registry import MODELS, build_if_config

MINING = ('all', 'semi_hard', 'hard')
REDUCTIONS = ('nonzero', 'mean', 'sum', 'class_balanced')


@MODELS.register_module()
class BatchAllTripletLoss(nn.Module):
    """Triplet margin loss over all triplets, in O(B^2 log B) time and O(B^2) memory.

    Value and gradient equal those of ``TripletMarginLoss`` of pytorch-metric-learning
    without a miner, which makes O(B^3) triplets. https://arxiv.org/abs/1703.07737

    Args:
        margin: Distance by which a negative should be farther than a positive, >= 0.
        distance: Distance of pytorch-metric-learning, or its config. Euclidean distance
            of normalized embeddings if ``None``. Similarities are negated.
        mining: ``'all'``: all triplets. ``'semi_hard'``: those whose negative is
            farther than the positive, by less than the margin. ``'hard'``: one triplet
            per anchor, with its farthest positive and nearest negative.
        reduction: ``'nonzero'``: mean over triplets with a loss above 0. ``'mean'``:
            mean over all mined triplets. ``'sum'``: their sum. ``'class_balanced'``:
            ``'nonzero'`` over the anchors of each class, then the mean over classes
            with triplets, so that all classes have the same weight.
        reducer: Reducer of pytorch-metric-learning, or its config, instead of a
            reduction: ``AvgNonZeroReducer``, ``MeanReducer``, ``SumReducer``,
            ``ThresholdReducer`` with ``low`` of 0 or more, or ``ClassWeightedReducer``.
            Triplets are not materialized; ``high`` costs a second sort. With
            ``collect_stats``, its ``losses_size`` and ``num_past_filter`` are set.
        embedding_regularizer: Regularizer of pytorch-metric-learning
            (``LpRegularizer``, ...), or its config. Its value is added to the loss.
        embedding_reg_weight: Weight of the regularizer, >= 0.

    Attributes:
        active_share: Share of triplets of the last batch with a loss above 0, or within
            the bounds of a ``ThresholdReducer``. It is a share of all triplets, or with
            ``'hard'`` of the mined ones.

    Raises:
        ValueError: If the margin or the weight is negative, mining or reduction is
            unknown, the distance is none, both a reduction and a reducer are given, or
            the reducer needs the loss of each triplet.
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
            if not number >= 0:
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
        self.distance = build_distance(distance)
        self.reducer = copy.deepcopy(build_if_config(reducer))
        if reducer is not None:
            if reduction != 'nonzero':
                raise ValueError(
                    f'reduction={reduction!r} and a reducer are given: use only one'
                )
            self.reduction = reduction_of(self.reducer)
        self.embedding_regularizer = build_if_config(embedding_regularizer)
        self.embedding_reg_weight = embedding_reg_weight

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        indices_tuple: tuple | None = None,
        ref_emb: torch.Tensor | None = None,
        ref_labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Compute the loss of a batch; without triplets, only the regularizer.

        Args:
            embeddings: Embeddings of the anchors, (B, D).
            labels: (B,).
            indices_tuple: Pairs of a miner. Triplets combine each positive with each
                negative of an anchor.
            ref_emb: Embeddings of positives and negatives, (M, D); the batch if
                ``None``.
            ref_labels: Labels of ``ref_emb``, (M,).

        Raises:
            ValueError: If the miner returns triplets, or the numbers of labels and
                embeddings differ.
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
            masks = pair_masks(labels, indices_tuple, ref_labels)
            if self.distance.is_inverted:  # s_an - s_ap is d_ap - d_an
                masks = masks[::-1]
            loss = self._reduce(distances, labels, *masks)
            if self.embedding_regularizer is None:
                return loss
            penalty = self.embedding_regularizer(embeddings)
            return loss + self.embedding_reg_weight * penalty

    def _reduce(
        self,
        distances: torch.Tensor,
        labels: torch.Tensor,
        positive: torch.Tensor,
        negative: torch.Tensor,
    ) -> torch.Tensor:
        """Compute the loss, a scalar, from distances, (B, M), and masks, (B, M).

        The masks are those of positives and negatives; of similarities, the reverse.
        """
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
        number_active = active.sum()
        self.active_share = number_active / among.sum().clamp(min=1)
        self._keep_stats(mined, active)
        if self.reduction == 'class_balanced':
            return average_over_classes(sums, active, mined, labels)
        if weights is not None:
            sums = sums * weights_of(labels, weights).to(sums)
        if self.reduction == 'sum':
            return sums.sum()
        averaged = number_active if self.reduction == 'nonzero' else mined.sum()
        return sums.sum() / averaged.clamp(min=1)

    def _keep_stats(self, mined: torch.Tensor, active: torch.Tensor) -> None:
        """Set the triplet counts of a reducer with ``collect_stats``."""
        if getattr(self.reducer, 'collect_stats', False):
            self.reducer.losses_size = mined.sum().item()
            if hasattr(self.reducer, 'num_past_filter'):
                self.reducer.num_past_filter = active.sum().item()


def build_distance(distance: BaseDistance | dict | None) -> BaseDistance:
    """Return a distance, or build it; Euclidean distance if ``None``.

    Raises:
        ValueError: If it is no distance of pytorch-metric-learning.
    """
    distance = build_if_config(distance) or LpDistance()
    if not isinstance(distance, BaseDistance):
        raise ValueError(
            f'distance={distance!r} must be the config of a distance, such as '
            "dict(type='mmimbal.CosineSimilarity')"
        )
    return distance


def hard_triplets(
    distances: torch.Tensor,
    positive: torch.Tensor,
    negative: torch.Tensor,
    margin: float,
    low: float = 0.0,
    high: float | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mine the farthest positive and the nearest negative of each anchor.

    Args:
        distances: (B, M).
        positive: (B, M), bool.
        negative: (B, M), bool.
        margin: Margin, in units of the distances.
        low: Losses at or below this are set to 0.
        high: Losses at or above this are set to 0, unless ``None``.

    Returns:
        Losses, (B,), 1 where a loss was kept, (B,), int64, and 1 where the anchor has
        a triplet, (B,), int64.
    """
    mined = positive.any(1) & negative.any(1)
    farthest = distances.masked_fill(~positive, -torch.inf).amax(1)
    nearest = distances.masked_fill(~negative, torch.inf).amin(1)
    violation = torch.where(mined, farthest - nearest + margin, 0.0)
    dropped = violation <= low
    if high is not None:
        dropped |= violation >= high
    return violation.masked_fill(dropped, 0.0), (~dropped).long(), mined.long()
