"""Losses that compare embeddings with class centres."""

import torch
from pytorch_metric_learning.distances import BaseDistance
from torch import nn

from mmimbal.models.losses.batch_all_triplet import BatchAllTripletLoss, build_distance
from mmimbal.models.losses.by_class import average_over_classes, moved_centres
from mmimbal.models.losses.pairs import refuse_miner
from mmimbal.models.losses.phases import FirstPhase
from mmimbal.models.losses.precision import in_full_precision
from mmimbal.models.needs import EPOCH
from mmimbal.registry import MODELS


@MODELS.register_module()
class ClassCentreTripletLoss(nn.Module):
    """Triplet loss whose positives and negatives are class centres (PCCT).

    Terms are ``relu(d(x, c_own) - d(x, c_other) + margin)`` for each embedding x and
    each other class. Terms above 0 are averaged within each class, then over classes.
    Centres are moving averages of the embeddings of earlier batches, without gradient.
    A class without a centre is not used yet. https://arxiv.org/abs/2207.04793

    Args:
        num_classes: Number of classes, K.
        embedding_size: Size D of the embeddings.
        margin: Distance by which other centres should be farther than the own centre,
            >= 0.
        momentum: Momentum of the moving averages, in [0, 1).
        balanced_epochs: Number of epochs of the first phase, or between 0 and 1 their
            share of all epochs: class-balanced :class:`BatchAllTripletLoss`, which
            separates the classes coarsely. Needs ``mmimbal.SetEpochHook``.
        distance: Distance of pytorch-metric-learning, or its config. Euclidean distance
            of normalized embeddings if ``None``.

    Attributes:
        active_share: Share of terms of the last batch that are above 0.

    Raises:
        ValueError: If margin or ``balanced_epochs`` is negative, momentum is not in
            [0, 1), or the distance is a similarity; at the start of training, if the
            first phase leaves no epoch for the second one.
    """

    takes_miner = False

    active_share: torch.Tensor | None = None

    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        margin: float = 0.2,
        momentum: float = 0.9,
        balanced_epochs: float = 0,
        distance: BaseDistance | dict | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= momentum < 1:
            raise ValueError(f'momentum={momentum} must be in [0, 1)')
        self.phase = FirstPhase('balanced_epochs', balanced_epochs)
        self.distance = build_distance(distance)
        if self.distance.is_inverted:
            raise ValueError(
                f'{type(self.distance).__name__} is a similarity: use a distance, for '
                'example mmimbal.LpDistance'
            )
        own = dict(distance=self.distance, reduction='class_balanced')
        self.first_phase = BatchAllTripletLoss(margin, **own)
        self.margin, self.momentum = margin, momentum
        # inf: no centre yet.
        empty = torch.full((num_classes, embedding_size), torch.inf)
        self.register_buffer('centres', empty)

    @property
    def needs(self) -> tuple[str, ...]:
        """What the loss needs in training."""
        return (EPOCH,) if self.phase.value else ()

    @property
    def has_centre(self) -> torch.Tensor:
        """A mask of the classes with a centre, (K,), bool."""
        return self.centres.isfinite().all(1)

    def set_max_epochs(self, max_epochs: int) -> None:
        """Set the number of epochs, of which the first phase has a part."""
        self.phase.set_max_epochs(max_epochs)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, counted from 0, which decides the phase."""
        self.phase.epoch = epoch

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        indices_tuple: tuple | None = None,
    ) -> torch.Tensor:
        """Compute the loss of a batch. In training, then update the centres.

        Args:
            embeddings: (B, D).
            labels: (B,), in 0..K-1.
            indices_tuple: Must be ``None``: this loss takes no miner.

        Raises:
            ValueError: If there is a miner.
            RuntimeError: If there is a first phase without ``mmimbal.SetEpochHook``.
        """
        refuse_miner(self, indices_tuple)
        embeddings = in_full_precision(embeddings)
        if self.phase.value and self.phase.is_now():
            loss = self.first_phase(embeddings, labels)
            self.active_share = self.first_phase.active_share
        else:
            loss = self._compare(embeddings, labels)
        if self.training:
            self.update_centres(embeddings.detach(), labels)
        return loss

    def terms(
        self,
        own: torch.Tensor,
        distances: torch.Tensor,
        known: torch.Tensor,
        other: torch.Tensor,
        centres: torch.Tensor,
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return the terms of the loss, and masks of the terms that count.

        Args:
            own: Distance to the centre of the own class, (B, 1).
            distances: Distances to all centres, (B, K).
            known: Whether the own class has a centre, (B, 1), bool.
            other: Whether another class has a centre, and the own class too, (B, K),
                bool.
            centres: Class centres, (K, D).

        Returns:
            Pairs of terms, (B, T), and their mask, (B, T), bool. Each pair is averaged
            separately, and the averages are added.
        """
        return [(own - distances + self.margin, other)]

    def _compare(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        # A copy, because centres are updated before the backward pass.
        centres = self.centres.nan_to_num(posinf=0.0).to(embeddings)
        distances = self.distance(embeddings, centres)
        column = labels[:, None]
        known = self.has_centre[column]
        other = (known & self.has_centre).scatter(1, column, False)
        own = distances.gather(1, column)
        parts = self.terms(own, distances, known, other, centres)
        active = torch.stack([((t > 0) & counted).sum() for t, counted in parts]).sum()
        total = torch.stack([counted.sum() for _, counted in parts]).sum()
        self.active_share = active / total.clamp(min=1)
        return sum(average_terms(*part, labels) for part in parts)

    @torch.no_grad()
    def update_centres(self, embeddings: torch.Tensor, labels: torch.Tensor) -> None:
        """Move the centres of the classes in a batch towards their batch means."""
        embeddings = self.distance.maybe_normalize(embeddings).to(self.centres)
        self.centres.copy_(
            moved_centres(
                self.centres, self.has_centre, embeddings, labels, self.momentum
            )
        )


@MODELS.register_module()
class ClassCentreRankingLoss(ClassCentreTripletLoss):
    """Pairwise ranking loss with class centres (PCCT).

    Terms are ``d(x, c_own)`` and, for each other class, ``relu(margin - d(x,
    c_other))``. Both are averaged as in :class:`ClassCentreTripletLoss`; arguments are
    the same. https://arxiv.org/abs/2207.04793
    """

    def terms(self, own, distances, known, other, centres):
        """Return the distances to the own centre, and the margins to the others."""
        return [(own, known), (self.margin - distances, other)]


@MODELS.register_module()
class ClassCentreQuadrupletLoss(ClassCentreTripletLoss):
    """Quadruplet loss with class centres (PCCT).

    Adds terms to :class:`ClassCentreTripletLoss`:
    ``relu(d(x, c_own) - d(c_other, c_third) + second_margin)`` for all pairs of other
    classes. https://arxiv.org/abs/2207.04793

    Args:
        *args: As in :class:`ClassCentreTripletLoss`.
        second_margin: Margin of these terms, in units of the distance, >= 0.
        **kwargs: As in :class:`ClassCentreTripletLoss`.

    Raises:
        ValueError: If a margin is negative.
    """

    def __init__(self, *args, second_margin: float = 0.1, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if second_margin < 0:
            raise ValueError(f'second_margin={second_margin} must not be negative')
        self.second_margin = second_margin

    def terms(self, own, distances, known, other, centres):
        """Return the triplet terms, and those with distances of other centres."""
        first, second = torch.triu_indices(
            len(centres), len(centres), 1, device=centres.device
        )
        between = self.distance(centres)[first, second]
        return [
            *super().terms(own, distances, known, other, centres),
            (own - between + self.second_margin, other[:, first] & other[:, second]),
        ]


def average_terms(
    terms: torch.Tensor, counted: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """Average the terms above 0 within each class, then over classes.

    Args:
        terms: (B, T).
        counted: Mask of the terms that count, (B, T), bool.
        labels: (B,).

    Returns:
        A scalar; 0 if there is no term.
    """
    losses = torch.where(counted, terms, 0.0).relu()
    return average_over_classes(
        losses.sum(1), (losses > 0).sum(1), counted.sum(1), labels
    )
