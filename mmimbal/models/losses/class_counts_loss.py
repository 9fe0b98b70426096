"""Losses that use the class counts."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from mmimbal.models.needs import (
    CLASS_COUNTS,
    ONE_LABEL,
    WITHOUT_MIXTURES,
    missing,
)


class UsesClassCounts(nn.Module):
    """Base class of losses that get the number of training images of each class.

    :class:`mmimbal.engine.hooks.ClassCountsHook` sets the counts, or call
    :meth:`set_class_counts`.

    Attributes:
        rebalances: Whether the loss favours rare classes. A balanced sampler would then
            correct the imbalance twice.
    """

    needs = (CLASS_COUNTS,)
    rebalances = True
    # No buffer: checkpoints hold the counts in their meta, and a copy of the model for
    # averaged weights, made before the counts are known, must have the same buffers.
    class_counts: torch.Tensor | None = None

    def set_class_counts(self, counts: np.ndarray) -> None:
        """Set the number of training images per class, (K,).

        Raises:
            ValueError: If a class has no image.
        """
        counts = torch.as_tensor(counts, dtype=torch.float64)
        if (counts < 1).any():
            empty = (counts < 1).nonzero().flatten().tolist()
            raise ValueError(
                f'{type(self).__name__} needs training images of every class, but '
                f'there are none of {empty}: add images, or use another loss'
            )
        self.class_counts = counts

    def counts_on(self, device: torch.device) -> torch.Tensor:
        """Return the class counts on a device; they stay there for the next step.

        Raises:
            RuntimeError: If they were not set.
        """
        if self.class_counts is None:
            raise RuntimeError(missing(CLASS_COUNTS, type(self).__name__))
        self.class_counts = self.class_counts.to(device)
        return self.class_counts


class ClassCountsLoss(UsesClassCounts):
    """Base class of cross-entropy losses that depend on the class counts.

    Attributes:
        takes_mixtures: Whether labels may be class shares, (N, K), as of Mixup and
            CutMix.
    """

    takes_mixtures = False

    @property
    def needs(self) -> tuple[str, ...]:
        """What the loss needs in training; see :mod:`mmimbal.models.needs`."""
        return (CLASS_COUNTS,) if self.takes_mixtures else (CLASS_COUNTS, ONE_LABEL)

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
            label: (N,), or (N, K): class shares with ``takes_mixtures``, else one-hot.
            weight: Weight of each image, (N,).
            avg_factor: Divisor of the sum over images; N if ``None``.

        Raises:
            RuntimeError: If the class counts were not set.
            ValueError: If the number of class counts is not K, or labels are mixtures
                without ``takes_mixtures``.
        """
        counts = self.counts_on(cls_score.device)
        if len(counts) != cls_score.shape[1]:
            raise ValueError(
                f'{len(counts)} class counts for {cls_score.shape[1]} '
                'logits: set num_classes of the head to that of the training set'
            )
        if label.dim() > 1 and not self.takes_mixtures:
            if not ((label == 1).sum(1) == 1).all():  # one-hot labels are not mixed
                raise ValueError(
                    f'{type(self).__name__} needs one class per image, but labels are '
                    f'mixtures: {WITHOUT_MIXTURES}, or use mmimbal.LogitAdjustmentLoss'
                )
            label = label.argmax(1)
        if label.dim() > 1:
            label = label.float()  # to_onehot gives integers
        losses = self.losses(cls_score.float(), label, counts)
        if weight is not None:
            losses = losses * weight
        return losses.sum() / (avg_factor or len(losses))

    def losses(
        self, logits: torch.Tensor, labels: torch.Tensor, counts: torch.Tensor
    ) -> torch.Tensor:
        """Compute the loss of each image, (N,). Subclasses implement this.

        Args:
            logits: (N, K), float32.
            labels: (N,).
            counts: Training images per class, (K,), float64.
        """
        raise NotImplementedError


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Compute the cross-entropy of each image, (N,), from logits (N, K)."""
    return F.cross_entropy(logits, labels, reduction='none')
