"""Cross-entropy with weights that favour rare classes."""

import torch

from mmimbal.models.losses.class_counts_loss import ClassCountsLoss, cross_entropy
from mmimbal.registry import MODELS


@MODELS.register_module()
class ClassBalancedLoss(ClassCountsLoss):
    """Focal or plain cross-entropy, weighted by effective number.

    ``w_y * (1 - p_y) ** gamma * -log(p_y)`` with weights
    :func:`effective_number_weights`. https://arxiv.org/abs/1901.05555, and
    https://arxiv.org/abs/1708.02002 on a softmax.

    Args:
        beta: How much a further image of a class still counts, in [0, 1); 0 weighs
            classes equally.
        gamma: How much less well classified images count; 0 is plain cross-entropy.

    Raises:
        ValueError: If an option is outside its range.
    """

    def __init__(self, beta: float = 0.999, gamma: float = 0.0) -> None:
        super().__init__()
        if not 0 <= beta < 1 or gamma < 0:
            raise ValueError(
                f'beta={beta} must be in [0, 1), gamma={gamma} not be negative'
            )
        self.beta = beta
        self.gamma = gamma

    def losses(self, logits, labels, counts):
        """Compute the loss of each image."""
        losses = cross_entropy(logits, labels)
        weights = effective_number_weights(counts, self.beta).to(logits)
        # 1 - p is exp(loss) - 1 over exp(loss): exact also where p is near 1. At 0 a
        # power below 1 has no gradient.
        wrong = (-torch.expm1(-losses)).clamp(min=torch.finfo(losses.dtype).tiny)
        return weights[labels] * wrong**self.gamma * losses


@MODELS.register_module()
class ClassImbalanceLoss(ClassCountsLoss):
    """Cross-entropy weighted by class frequency and by the predicted probability.

    ``(n_max / n_y) ** alpha * (1 - p_y) * -log(p_y)``, without gradient through the
    weight, whose mean over classes is 1. After the description of Yue et al., IEEE TIM
    72, 2023 (each sample is weighted by the frequency of its class and the predicted
    probability of its true class); the paper's exact formula was not at hand.

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
    """Cross-entropy weighted by ``prior ** -rho``, with a mean over classes of 1.

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
    """Return the inverse effective number of each class, with a mean of 1.

    Args:
        counts: Training images per class, (K,), float64.
        beta: In [0, 1).

    Returns:
        ``(1 - beta) / (1 - beta ** n)``, normalised, (K,).
    """
    weights = (1 - beta) / (1 - beta**counts)
    return weights / weights.mean()
