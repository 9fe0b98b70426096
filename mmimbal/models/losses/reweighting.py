"""Cross-entropy with weights that favour rare classes."""

import torch

from mmimbal.models.losses.class_counts_loss import ClassCountsLoss, cross_entropy
from mmimbal.registry import MODELS


@MODELS.register_module()
class ClassBalancedLoss(ClassCountsLoss):
    """Focal loss or cross-entropy, weighted by effective number.

    ``w_y * (1 - p_y) ** gamma * -log(p_y)`` with the class weights of
    :func:`effective_number_weights`. https://arxiv.org/abs/1901.05555, with the focal
    loss of https://arxiv.org/abs/1708.02002 for a softmax.

    Args:
        beta: Beta of the effective number, in [0, 1). 0 gives all classes weight 1;
            close to 1, weights are nearly inverse class counts.
        gamma: Focusing parameter of the focal loss, >= 0; 0 is plain cross-entropy.

    Raises:
        ValueError: If an option is outside its range.
    """

    def __init__(self, beta: float = 0.999, gamma: float = 0.0) -> None:
        super().__init__()
        if not 0 <= beta < 1 or gamma < 0:
            raise ValueError(
                f'beta={beta} must be in [0, 1), and gamma={gamma} must not be negative'
            )
        self.beta = beta
        self.gamma = gamma

    def losses(self, logits, labels, counts):
        """Compute the loss of each image."""
        losses = cross_entropy(logits, labels)
        weights = effective_number_weights(counts, self.beta).to(logits)
        # 1 - p = -expm1(-loss) is exact even if p is near 1. The clamp avoids 0, where
        # a power below 1 has no finite gradient.
        wrong = (-torch.expm1(-losses)).clamp(min=torch.finfo(losses.dtype).tiny)
        return weights[labels] * wrong**self.gamma * losses


@MODELS.register_module()
class ClassImbalanceLoss(ClassCountsLoss):
    """Cross-entropy weighted by class frequency and by the predicted probability.

    ``w_y * (1 - p_y) * -log(p_y)`` with class weights ``w ~ n ** -alpha`` of mean 1;
    ``1 - p_y`` has no gradient. It follows the description of Yue et al., IEEE TIM 72,
    2023: each sample is weighted by the frequency of its class and the predicted
    probability of its true class. The exact formula of the paper was not available.

    Args:
        alpha: Strength of the class weights, >= 0.

    Raises:
        ValueError: If alpha is negative.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        if alpha < 0:
            raise ValueError(f'alpha={alpha} must not be negative')
        self.alpha = alpha

    def losses(self, logits, labels, counts):
        """Compute the loss of each image."""
        losses = cross_entropy(logits, labels)
        weights = counts**-self.alpha
        weights = (weights / weights.mean()).to(logits)
        return weights[labels] * -torch.expm1(-losses.detach()) * losses


@MODELS.register_module()
class PriorWeightedLoss(ClassCountsLoss):
    """Cross-entropy with class weights ``prior ** -rho``, scaled to a mean of 1.

    Args:
        rho: Strength; 0 is plain cross-entropy.

    Raises:
        ValueError: If rho is negative.
    """

    def __init__(self, rho: float = 1.0) -> None:
        super().__init__()
        if rho < 0:
            raise ValueError(f'rho={rho} must not be negative')
        self.rho = rho

    def losses(self, logits, labels, counts):
        """Compute the loss of each image."""
        weights = counts**-self.rho
        return (weights / weights.mean()).to(logits)[labels] * cross_entropy(
            logits, labels
        )


def effective_number_weights(counts: torch.Tensor, beta: float) -> torch.Tensor:
    """Compute the inverse effective number of each class, scaled to a mean of 1.

    Args:
        counts: Training images per class, (K,), float64.
        beta: In [0, 1).

    Returns:
        ``(1 - beta) / (1 - beta ** n)``, scaled, (K,).
    """
    weights = (1 - beta) / (1 - beta**counts)
    return weights / weights.mean()
