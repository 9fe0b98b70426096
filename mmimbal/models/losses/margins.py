"""Cross-entropy with margins that depend on class counts, for cosine heads."""

import torch
from mmengine.dist import all_reduce

from mmimbal.models.losses.class_counts_loss import ClassCountsLoss, cross_entropy
from mmimbal.models.losses.phases import FirstPhase
from mmimbal.models.losses.reweighting import effective_number_weights
from mmimbal.models.needs import EPOCH
from mmimbal.registry import MODELS


@MODELS.register_module()
class LDAMLoss(ClassCountsLoss):
    """Label-distribution-aware margins, LDAM (https://arxiv.org/abs/1906.07413).

    Cross-entropy of ``scale * cos``, with ``scale * margin`` subtracted from the logit
    of the true class. Margins are proportional to ``n ** -1/4``. From
    ``reweight_epoch`` on, images are weighted by effective number (DRW). Use it with
    ``mmimbal.CosineClsHead(scale=30)``.

    Args:
        max_margin: Margin of the rarest class, in units of the cosine.
        scale: Scale of the head.
        reweight_epoch: First epoch with weights, counted from 0, or between 0 and 1 the
            share of all epochs before it; no weights if ``None``. Needs
            ``mmimbal.SetEpochHook``.
        beta: Beta of the effective number, in [0, 1).

    Raises:
        ValueError: If an option is outside its range; at the start of training, if
            ``reweight_epoch`` would never come.
        RuntimeError: In training, if ``reweight_epoch`` is set without
            ``mmimbal.SetEpochHook``.
    """

    def __init__(
        self,
        max_margin: float = 0.5,
        scale: float = 30.0,
        reweight_epoch: float | None = None,
        beta: float = 0.9999,
    ) -> None:
        super().__init__()
        if max_margin < 0 or scale <= 0 or not 0 <= beta < 1:
            raise ValueError(
                f'max_margin={max_margin} must not be negative, scale={scale} must be '
                f'positive, and beta={beta} must be in [0, 1)'
            )
        self.max_margin = max_margin
        self.scale = scale
        self.phase: FirstPhase | None = None  # without weights
        if reweight_epoch is not None:
            self.phase = FirstPhase('reweight_epoch', reweight_epoch)
        self.beta = beta

    @property
    def needs(self) -> tuple[str, ...]:
        """What the loss needs in training; see :mod:`mmimbal.models.needs`."""
        return (*super().needs, *([EPOCH] if self.phase else []))

    def set_max_epochs(self, max_epochs: int) -> None:
        """Set the number of epochs, of which the first ones have no weights."""
        if self.phase:
            self.phase.set_max_epochs(max_epochs)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, counted from 0."""
        if self.phase:
            self.phase.epoch = epoch

    def losses(self, logits, labels, counts):
        """Compute the loss of each image."""
        margins = counts**-0.25
        margins *= self.scale * self.max_margin / margins.max()
        losses = cross_entropy(
            subtract_at(logits, labels, margins.to(logits)[labels]), labels
        )
        if self.phase is None or self.phase.is_now():
            return losses
        weights = effective_number_weights(counts, self.beta).to(logits)[labels]
        mean = weights.mean()
        all_reduce(mean, 'mean')  # over ranks, as if their images were one batch
        return weights / mean * losses


@MODELS.register_module()
class GCLLoss(ClassCountsLoss):
    """Gaussian clouded logit adjustment (Li, Cheung and Lu, CVPR 2022).

    Cross-entropy of ``scale * (cos - noise * |g| * c)``. g is Gaussian noise of
    standard deviation 1/3, clipped to [-1, 1]. The cloud size c is
    ``(log n_max - log n) / (log n_max - log n_min)``: largest for the rarest class.
    ``margin`` is also subtracted from the cosine of the true class. Use it with
    ``mmimbal.CosineClsHead(scale=30)``.

    Args:
        noise: Largest size of the noise, in units of the cosine.
        margin: Margin of the true class, in units of the cosine.
        scale: Scale of the head.

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
                f'and scale={scale} must be positive'
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
    """Return cloud sizes, (K,), from 0 (most common class) to 1 (rarest class)."""
    sizes = counts.max().log() - counts.log()
    return sizes / sizes.max().clamp(min=1e-12)


def subtract_at(
    logits: torch.Tensor, labels: torch.Tensor, amounts: torch.Tensor
) -> torch.Tensor:
    """Subtract amounts, (N,), from the logit of each label, (N,), in (N, K)."""
    return logits.scatter_add(1, labels[:, None], -amounts[:, None])
