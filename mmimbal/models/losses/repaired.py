"""Losses of pytorch-metric-learning that do not work there as they should."""

import torch
from pytorch_metric_learning import losses

from mmimbal.models.losses.pairs import refuse_miner
from mmimbal.models.losses.pml import from_config
from mmimbal.registry import MODELS

EDGE = 1e-6  # from the ends of what a cosine may be


class DynamicSoftMarginLoss(losses.DynamicSoftMarginLoss):
    """Dynamic soft margin loss, for more than one step.

    In place of the loss of this name in pytorch-metric-learning, which keeps the graph
    of a step in its histogram, so that the next one fails; which does not save the
    histogram; and which leaves its range where distances of positives and negatives
    are as far apart as they can be. Arguments are the same.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.register_buffer('hist_', self.__dict__.pop('hist_'))

    def update_histogram(self, data: torch.Tensor) -> None:
        """Count the differences of distances, (T,), without gradient."""
        super().update_histogram(self._within(data.detach()))

    def weigh_loss(self, data: torch.Tensor) -> torch.Tensor:
        """Weigh each difference, (T,), by the share of those below it."""
        bins = ((self._within(data.detach()) - self.min_val) / self.delta).long()
        return self.hist_.cumsum(0)[bins] * data

    def _within(self, data: torch.Tensor) -> torch.Tensor:
        """Return differences within the bins, the last one left for what is over."""
        return data.clamp(
            self.min_val, self.min_val + self.delta * (self.num_bins - 1.001)
        )


class SmoothAPLoss(losses.SmoothAPLoss):
    """1 - smooth average precision of each image's ranking (arXiv:2007.12163).

    In place of the loss of this name in pytorch-metric-learning, which is right only
    where the batch is sorted by class and holds as many images of each class as it has
    classes. Takes O(B^3) memory. Arguments are the same.
    """

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        indices_tuple: tuple | None = None,
    ) -> torch.Tensor:
        """Compute the loss of a batch.

        Args:
            embeddings: (B, D).
            labels: (B,).
            indices_tuple: Of a miner, which this loss does not take.

        Raises:
            ValueError: If there is a miner.
        """
        refuse_miner(self, indices_tuple)
        return 1 - smooth_ap(self.distance(embeddings), labels, self.temperature).mean()


def smooth_ap(
    similarities: torch.Tensor, labels: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Rank all images for each image, itself included, with sigmoids for steps.

    Args:
        similarities: (B, B).
        labels: (B,).
        temperature: Of the sigmoids.

    Returns:
        Average precision of each image, (B,).
    """
    same = labels[:, None] == labels
    differences = similarities[:, None, :] - similarities[:, :, None]
    above = torch.sigmoid(differences / temperature)  # (image, ranked, compared)
    above = above * ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    rank = 1 + above.sum(2)
    rank_in_class = 1 + (above * same[:, None, :]).sum(2)
    return (rank_in_class / rank * same).sum(1) / same.sum(1)


class TupletMarginLoss(losses.TupletMarginLoss):
    """Tuplet margin loss, also for an image that is twice in a batch.

    In place of the loss of this name in pytorch-metric-learning, whose angle between
    equal embeddings has no finite gradient. Arguments are the same.
    """

    def _compute_loss(self, pos_pairs, neg_pairs, indices_tuple):
        return super()._compute_loss(
            _inside(pos_pairs), _inside(neg_pairs), indices_tuple
        )


class HistogramLoss(losses.HistogramLoss):
    """Histogram loss, also for an image that is twice in a batch.

    In place of the loss of this name in pytorch-metric-learning, which counts cosines
    that rounding has put above 1 in a bin that is not there. Arguments are the same.
    """

    def compute_density(self, distances):
        """Return the share of cosines, (P,), near each end of a bin."""
        return super().compute_density(_inside(distances))


class NCALoss(losses.NCALoss):
    """Neighbourhood components analysis, also for a batch without a pair of a class.

    In place of the loss of this name in pytorch-metric-learning, which is NaN then.
    Arguments are the same.
    """

    def nca_computation(self, *args):
        """Compute the loss of each image that has another of its class."""
        found = super().nca_computation(*args)
        return found if len(found['loss']['losses']) else self.zero_losses()


def _inside(cosines):
    """Return cosines, a tensor or an empty list, off the ends of their range."""
    if len(cosines) == 0:
        return cosines
    return cosines.clamp(EDGE - 1, 1 - EDGE)


for component in (
    DynamicSoftMarginLoss,
    HistogramLoss,
    NCALoss,
    SmoothAPLoss,
    TupletMarginLoss,
):
    MODELS.register_module(component.__name__, module=from_config(component))
