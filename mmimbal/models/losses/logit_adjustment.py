"""Cross-entropy with logits shifted and scaled by class counts."""

import torch

from mmimbal.models.losses.class_counts_loss import ClassCountsLoss, cross_entropy
from mmimbal.registry import MODELS


@MODELS.register_module()
class LogitAdjustmentLoss(ClassCountsLoss):
    """Cross-entropy of ``logits + tau * log(prior)`` (https://arxiv.org/abs/2007.07314).

    The loss adds the prior, so that the logits themselves are balanced: prediction uses
    them without a correction.

    Args:
        tau: Strength; 0 is plain cross-entropy.

    Raises:
        ValueError: If tau is negative.
    """

    takes_mixtures = True

    def __init__(self, tau: float = 1.0) -> None:
        super().__init__()
        if tau < 0:
            raise ValueError(f'tau={tau} must not be negative')
        self.tau = tau

    def losses(self, logits, labels, counts):
        """Compute the loss of each image."""
        return cross_entropy(logits + self.tau * log_prior(counts).to(logits), labels)


@MODELS.register_module()
class BalancedSoftmaxLoss(LogitAdjustmentLoss):
    """Balanced softmax: logit adjustment with ``tau=1``.

    In the softmax, the exponential of each class is multiplied by its class count.
    https://arxiv.org/abs/2007.10740
    """

    def __init__(self) -> None:
        super().__init__(tau=1.0)


@MODELS.register_module()
class VSLoss(LogitAdjustmentLoss):
    """Vector scaling: logits are scaled and shifted (https://arxiv.org/abs/2103.01550).

    Cross-entropy of ``logits * (n / n_max) ** gamma + tau * log(prior)``.

    Args:
        gamma: Strength of the scaling, >= 0.
        tau: Strength of the shift, >= 0.

    Raises:
        ValueError: If gamma or tau is negative.
    """

    def __init__(self, gamma: float = 0.15, tau: float = 1.0) -> None:
        super().__init__(tau)
        if gamma < 0:
            raise ValueError(f'gamma={gamma} must not be negative')
        self.gamma = gamma

    def losses(self, logits, labels, counts):
        """Compute the loss of each image."""
        scale = ((counts / counts.max()) ** self.gamma).to(logits)
        return super().losses(logits * scale, labels, counts)


def log_prior(counts: torch.Tensor) -> torch.Tensor:
    """Compute the logarithm of class shares, (K,), from class counts, (K,)."""
    return (counts / counts.sum()).log()
