"""Softmax that does not punish rare classes for the images of others."""

import torch

from mmimbal.models.losses.class_counts_loss import ClassCountsLoss, cross_entropy
from mmimbal.registry import MODELS


@MODELS.register_module()
class SoftmaxEqualizationLoss(ClassCountsLoss):
    """Softmax equalization loss (SEQL, https://arxiv.org/abs/2003.05176).

    Cross-entropy in which rare classes are left out of the softmax of the images of
    other classes, each with a probability of ``gamma``: common classes then do not push
    their logits down. A class is rare if its share of the training images is below
    ``rare / K``.

    Args:
        rare: Bound of a rare class, as a multiple of the share ``1 / K`` of a balanced
            class, >= 0. In the paper it is 0.43 for the 1000 classes of ImageNet-LT.
        gamma: Probability of leaving out a rare class, in [0, 1].

    Raises:
        ValueError: If an option is outside its range, or no class is rare.
    """

    def __init__(self, rare: float = 0.43, gamma: float = 0.9) -> None:
        super().__init__()
        if rare < 0 or not 0 <= gamma <= 1:
            raise ValueError(
                f'rare={rare} must not be negative, and gamma={gamma} must be in [0, 1]'
            )
        self.rare = rare
        self.gamma = gamma

    def set_class_counts(self, counts) -> None:
        """Set the number of training images per class, (K,)."""
        super().set_class_counts(counts)
        if not self.rare_classes(self.class_counts).any():
            share = (self.class_counts.min() / self.class_counts.sum()).item()
            raise ValueError(
                f'rare={self.rare} of SoftmaxEqualizationLoss leaves no class that is '
                f'rare, as each has at least {share:.2%} of the images: set rare above '
                f'{share * len(self.class_counts):.2f}, or use another loss'
            )

    def losses(self, logits, labels, counts):
        """Compute the loss of each image."""
        # Drawn on the CPU: the same on every device.
        left_out = (torch.rand(logits.shape) < self.gamma).to(logits.device)
        left_out &= self.rare_classes(counts)
        left_out = left_out.scatter(1, labels[:, None], False)
        return cross_entropy(logits.masked_fill(left_out, -torch.inf), labels)

    def rare_classes(self, counts: torch.Tensor) -> torch.Tensor:
        """Return a mask of the rare classes, (K,), bool."""
        return counts / counts.sum() * len(counts) < self.rare
