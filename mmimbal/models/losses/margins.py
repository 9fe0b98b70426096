"""Cross-entropy with margins by class counts, for normalised classifiers."""

import torch

from mmimbal.models.losses.class_counts_loss import ClassCountsLoss, cross_entropy
from mmimbal.models.losses.reweighting import effective_number_weights
from mmimbal.registry import MODELS


@MODELS.register_module()
class LDAMLoss(ClassCountsLoss):
    """Label-distribution-aware margins, LDAM (https://arxiv.org/abs/1906.07413).

    Cross-entropy of ``scale * (cos - margin of the true class)``, margins
    ``~ n ** -1/4``; from ``reweight_epoch`` on the mean over a batch is weighted by
    effective number (DRW). The head gives ``scale * cos``:
    ``mmimbal.CosineClsHead(scale=30)``.

    Args:
        max_margin: Margin of the rarest class, in units of the cosine.
        scale: That of the head.
        reweight_epoch: First epoch of the weights, counted from 0; needs
            ``mmimbal.SetEpochHook``. Never if ``None``.
        beta: Of the effective number, in [0, 1).

    Raises:
        ValueError: If an option is outside its range.
        RuntimeError: In training, if there is a ``reweight_epoch``, and nothing tells
            the epoch.
    """

    def __init__(
        self,
        max_margin: float = 0.5,
        scale: float = 30.0,
        reweight_epoch: int | None = None,
        beta: float = 0.9999,
    ) -> None:
        super().__init__()
        if max_margin < 0 or scale <= 0 or not 0 <= beta < 1:
            raise ValueError(
                f'max_margin={max_margin} must not be negative, scale={scale} be '
                f'positive, beta={beta} be in [0, 1)'
            )
        self.max_margin = max_margin
        self.scale = scale
        self.reweight_epoch = reweight_epoch
        self.beta = beta
        self.epoch: int | None = None

    def set_epoch(self, epoch: int) -> None:
        """Take the epoch, counted from 0."""
        self.epoch = epoch

    def losses(self, logits, labels, counts):
        """Compute the loss of each image."""
        margins = counts**-0.25
        margins *= self.scale * self.max_margin / margins.max()
        losses = cross_entropy(
            subtract_at(logits, labels, margins.to(logits)[labels]), labels
        )
        if self.reweight_epoch is None:
            return losses
        if self.epoch is None:
            raise RuntimeError(
                f'reweight_epoch={self.reweight_epoch} needs the epoch: add '
                "dict(type='mmimbal.SetEpochHook') to custom_hooks"
            )
        if self.epoch < self.reweight_epoch:
            return losses
        weights = effective_number_weights(counts, self.beta).to(logits)[labels]
        return weights / weights.mean() * losses


@MODELS.register_module()
class GCLLoss(ClassCountsLoss):
    """Gaussian clouded logit adjustment (Li, Cheung and Lu, CVPR 2022).

    Cross-entropy of ``scale * (cos - noise * |g| * c)``: g is drawn from a normal
    distribution of deviation 1/3 cut at 1, and c is
    ``(log n_max - log n) / (log n_max - log n_min)``, so that the rarest class has the
    largest cloud; the true class also loses ``margin``. The head gives
    ``scale * cos``: ``mmimbal.CosineClsHead(scale=30)``.

    Args:
        noise: Size of the clouds, in units of the cosine.
        margin: In units of the cosine.
        scale: That of the head.

    Raises:
        ValueError: If an option is outside its range.
    """

    def __init__(
        self, noise: float = 0.5, margin: float = 0.0, scale: float = 30.0
    ) -> None:
        super().__init__()
        if noise < 0 or margin < 0 or scale <= 0:
            raise ValueError(
                f'noise={noise} and margin={margin} must not be negative, '
                f'scale={scale} be positive'
            )
        self.noise = noise
        self.margin = margin
        self.scale = scale

    def losses(self, logits, labels, counts):
        """Compute the loss of each image."""
        clouds = cloud_sizes(counts).to(logits)
        drawn = (torch.randn_like(logits) / 3).clamp(-1, 1).abs()
        clouded = logits - self.scale * self.noise * drawn * clouds
        margins = torch.full_like(logits[:, 0], self.scale * self.margin)
        return cross_entropy(subtract_at(clouded, labels, margins), labels)


def cloud_sizes(counts: torch.Tensor) -> torch.Tensor:
    """Return 0 for the most common class up to 1 for the rarest, (K,)."""
    sizes = counts.max().log() - counts.log()
    return sizes / sizes.max().clamp(min=1e-12)


def subtract_at(
    logits: torch.Tensor, labels: torch.Tensor, amounts: torch.Tensor
) -> torch.Tensor:
    """Subtract amounts, (N,), from the logits, (N, K), of the labels, (N,)."""
    return logits.scatter_add(1, labels[:, None], -amounts[:, None])
