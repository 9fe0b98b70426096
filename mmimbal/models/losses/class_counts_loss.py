"""What losses that know the class counts share."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class ClassCountsLoss(nn.Module):
    """Cross-entropy that a subclass changes by the training images per class.

    The counts come from :class:`mmimbal.engine.hooks.ClassCountsHook`, or a call of
    :meth:`set_class_counts`.

    Attributes:
        rebalances: Whether it favours rare classes, so that a balanced sampler beside
            it would do so a second time.
        takes_mixtures: Whether labels may be shares of classes, (N, K), as Mixup and
            CutMix make them.
    """

    rebalances = True
    takes_mixtures = False
    class_counts: torch.Tensor | None

    def __init__(self) -> None:
        super().__init__()
        # Not in the state dict: a checkpoint has them in its meta.
        self.register_buffer('class_counts', None, persistent=False)

    def set_class_counts(self, counts: np.ndarray) -> None:
        """Take the training images per class, (K,).

        Raises:
            ValueError: If a class has none.
        """
        counts = torch.as_tensor(counts, dtype=torch.float64)
        if (counts < 1).any():
            empty = (counts < 1).nonzero().flatten().tolist()
            raise ValueError(
                f'{type(self).__name__} needs training images of every class; there '
                f'are none of {empty}'
            )
        self.class_counts = counts

    def forward(
        self,
        cls_score: torch.Tensor,
        label: torch.Tensor,
        weight: torch.Tensor | None = None,
        avg_factor: int | None = None,
    ) -> torch.Tensor:
        """Compute the loss of a batch.

        Args:
            cls_score: Logits, (N, K).
            label: (N,), or (N, K) if it ``takes_mixtures``.
            weight: Of each image, (N,).
            avg_factor: What the sum over images is divided by; N if ``None``.

        Raises:
            RuntimeError: If nothing has set the class counts.
            ValueError: If there are counts of another number of classes, or labels are
                mixtures.
        """
        if self.class_counts is None:
            raise RuntimeError(
                f'{type(self).__name__} needs the class counts: add '
                "dict(type='mmimbal.ClassCountsHook') to custom_hooks"
            )
        if len(self.class_counts) != cls_score.shape[1]:
            raise ValueError(
                f'{len(self.class_counts)} class counts for {cls_score.shape[1]} '
                'logits: set num_classes of the head to those of the training set'
            )
        if label.dim() > 1 and not self.takes_mixtures:
            raise ValueError(
                f'{type(self).__name__} needs one class per image, but labels are '
                'mixtures: leave Mixup and CutMix out of model.train_cfg.augments, or '
                'use mmimbal.LogitAdjustmentLoss'
            )
        counts = self.class_counts.to(cls_score.device)
        losses = self.losses(cls_score.float(), label, counts)
        if weight is not None:
            losses = losses * weight
        return losses.sum() / (avg_factor or len(losses))

    def losses(
        self, logits: torch.Tensor, labels: torch.Tensor, counts: torch.Tensor
    ) -> torch.Tensor:
        """Compute the loss of each image; this is what a subclass gives.

        Args:
            logits: (N, K), float32.
            labels: (N,).
            counts: Training images per class, (K,), float64.

        Returns:
            (N,).
        """
        raise NotImplementedError


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Compute cross-entropy of each image, (N,), from (N, K) and (N,)."""
    return F.cross_entropy(logits, labels, reduction='none')
