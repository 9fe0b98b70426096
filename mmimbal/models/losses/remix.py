"""Remix: mixed images are given to the rare class."""

import torch

from mmimbal.models.losses.class_counts_loss import ClassCountsLoss, cross_entropy
from mmimbal.models.needs import CLASS_COUNTS, MIXTURES
from mmimbal.registry import MODELS


@MODELS.register_module()
class RemixLoss(ClassCountsLoss):
    """Cross-entropy with the labels of Remix (https://arxiv.org/abs/2007.03943).

    For MMPretrain's ``Mixup`` or ``CutMix`` in ``batch_augments``, which mix the
    images: here a mixture is given to its rare class alone, if the other class has at
    least ``kappa`` times as many training images, and a share below ``tau`` of the
    mixture. If this holds for both, as it can with ``kappa=1``, the larger share is
    taken. Other labels stay.

    Args:
        kappa: Ratio of the class counts, at least 1.
        tau: Bound of the share of the common class, in [0, 1].

    Raises:
        ValueError: If an option is outside its range, or an image is a mixture of more
            than two classes.
    """

    takes_mixtures = True
    needs = (CLASS_COUNTS, MIXTURES)

    def __init__(self, kappa: float = 3.0, tau: float = 0.5) -> None:
        super().__init__()
        if kappa < 1 or not 0 <= tau <= 1:
            raise ValueError(
                f'kappa={kappa} must be at least 1, and tau={tau} must be in [0, 1]'
            )
        self.kappa = kappa
        self.tau = tau

    def losses(self, logits, labels, counts):
        """Compute the loss of each image."""
        if labels.dim() == 2:
            labels = remix(labels, counts, self.kappa, self.tau)
        return cross_entropy(logits, labels)


def remix(
    shares: torch.Tensor, counts: torch.Tensor, kappa: float, tau: float
) -> torch.Tensor:
    """Give mixtures to their rare class.

    Args:
        shares: Class shares of each image, (N, K), with one or two above 0.
        counts: Training images per class, (K,).
        kappa: Ratio of the class counts.
        tau: Bound of the share of the common class.

    Returns:
        Class shares, (N, K).

    Raises:
        ValueError: If an image is a mixture of more than two classes.
    """
    mixed = (shares > 0).sum(1)
    if (mixed > 2).any():
        raise ValueError(
            f'an image is a mixture of {int(mixed.max())} classes: Remix needs Mixup '
            'or CutMix of two images, without label smoothing'
        )
    if shares.shape[1] < 2:
        return shares
    both = shares.topk(2, dim=1)
    of_both = counts[both.indices]
    # Whether the other one of the two is common, and has a small share.
    ratio = of_both.flip(1) / of_both
    takes_all = (ratio >= kappa) & (both.values.flip(1) < tau)
    takes_all &= (mixed == 2)[:, None]
    takes_all[:, 1] &= ~takes_all[:, 0]  # the larger share first
    alone = torch.zeros_like(shares).scatter(1, both.indices, takes_all.to(shares))
    return torch.where(takes_all.any(1, keepdim=True), alone, shares)
