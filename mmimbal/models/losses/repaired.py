"""Losses of pytorch-metric-learning with their errors corrected."""

import torch
from pytorch_metric_learning import losses

from mmimbal.models.losses.pairs import refuse_miner
from mmimbal.models.losses.pml import from_config
from mmimbal.registry import MODELS

EPSILON = 1e-6  # distance of clamped cosines from -1 and 1


class DynamicSoftMarginLoss(losses.DynamicSoftMarginLoss):
    """Dynamic soft margin loss that works for more than one step.

    Replaces the loss of pytorch-metric-learning; arguments are the same. There the
    histogram keeps the graph of a step, so that the next backward pass fails; it is not
    in the state dict; and the largest possible difference of distances is outside of
    its bins.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.register_buffer('hist_', self.__dict__.pop('hist_'))

    def update_histogram(self, data: torch.Tensor) -> None:
        """Add differences of distances, (T,), to the histogram, without gradient."""
        super().update_histogram(self._clamp_to_bins(data.detach()))

    def weigh_loss(self, data: torch.Tensor) -> torch.Tensor:
        """Weight each difference, (T,), by the share of smaller differences."""
        bins = ((self._clamp_to_bins(data.detach()) - self.min_val) / self.delta).long()
        return self.hist_.cumsum(0)[bins] * data

    def _clamp_to_bins(self, data: torch.Tensor) -> torch.Tensor:
        """Clamp differences to the range of the bins, but not into the last bin."""
        return data.clamp(
            self.min_val, self.min_val + self.delta * (self.num_bins - 1.001)
        )


class SmoothAPLoss(losses.SmoothAPLoss):
    """1 - smooth average precision, averaged over images (arXiv:2007.12163).

    Replaces the loss of pytorch-metric-learning; arguments are the same. There the
    result is correct only if the batch is sorted by class and has as many images per
    class as classes. Takes O(B^3) memory.
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
            indices_tuple: Must be ``None``: this loss takes no miner.

        Raises:
            ValueError: If there is a miner.
        """
        refuse_miner(self, indices_tuple)
        return 1 - smooth_ap(self.distance(embeddings), labels, self.temperature).mean()


def smooth_ap(
    similarities: torch.Tensor, labels: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Compute the smooth average precision of each image as a query.

    All images are ranked, also the query itself. Sigmoids replace the step functions of
    the ranks.

    Args:
        similarities: (B, B).
        labels: (B,).
        temperature: Temperature of the sigmoids.

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
    """Tuplet margin loss that works if an image is twice in a batch.

    Replaces the loss of pytorch-metric-learning; arguments are the same. There the
    angle between equal embeddings has no finite gradient.
    """

    def _compute_loss(self, pos_pairs, neg_pairs, indices_tuple):
        return super()._compute_loss(
            _clamp_cosines(pos_pairs), _clamp_cosines(neg_pairs), indices_tuple
        )


class HistogramLoss(losses.HistogramLoss):
    """Histogram loss that works if an image is twice in a batch.

    Replaces the loss of pytorch-metric-learning; arguments are the same. There a cosine
    above 1, due to rounding, is counted in a bin that does not exist.
    """

    def compute_density(self, distances):
        """Compute the histogram of cosines, (P,)."""
        return super().compute_density(_clamp_cosines(distances))


class NCALoss(losses.NCALoss):
    """Neighbourhood components analysis that works without positive pairs in a batch.

    Replaces the loss of pytorch-metric-learning; arguments are the same. There the
    result is NaN in this case.
    """

    def nca_computation(self, *args):
        """Compute the loss of each image with a positive; 0 if there is none."""
        loss_dict = super().nca_computation(*args)
        return loss_dict if len(loss_dict['loss']['losses']) else self.zero_losses()


def _clamp_cosines(cosines):
    """Clamp cosines, a tensor or an empty list, to less than -1 to 1."""
    if len(cosines) == 0:
        return cosines
    return cosines.clamp(EPSILON - 1, 1 - EPSILON)


for component in (
    DynamicSoftMarginLoss,
    HistogramLoss,
    NCALoss,
    SmoothAPLoss,
    TupletMarginLoss,
):
    MODELS.register_module(component.__name__, module=from_config(component))
