"""Label smoothing that is stronger for common classes."""

import math

import torch

from mmimbal.models.losses.class_counts_loss import ClassCountsLoss
from mmimbal.registry import MODELS

SHAPES = {
    'concave': lambda t: torch.sin(t * math.pi / 2),
    'linear': lambda t: t,
    'convex': lambda t: 1 + torch.sin(1.5 * math.pi + t * math.pi / 2),
}


@MODELS.register_module()
class LabelAwareSmoothingLoss(ClassCountsLoss):
    """Label-aware smoothing of MiSLAS (https://arxiv.org/abs/2104.00466).

    The target is ``1 - e`` for the true class and ``e / (K - 1)`` for each other class.
    The smoothing e grows with the class count, from ``tail`` to ``head``.

    Args:
        head: Smoothing of the most common class, in [0, 1).
        tail: Smoothing of the rarest class, in [0, 1).
        shape: Shape of the growth: ``'concave'``, ``'linear'`` or ``'convex'``.

    Raises:
        ValueError: If an option is outside its range.
    """

    rebalances = False  # it lowers the confidence in common classes only

    def __init__(
        self, head: float = 0.3, tail: float = 0.0, shape: str = 'concave'
    ) -> None:
        super().__init__()
        if not (0 <= head < 1 and 0 <= tail < 1):
            raise ValueError(f'head={head} and tail={tail} must be in [0, 1)')
        if shape not in SHAPES:
            raise ValueError(f'shape={shape!r} must be one of {", ".join(SHAPES)}')
        self.head = head
        self.tail = tail
        self.shape = shape

    def losses(self, logits, labels, counts):
        """Compute the loss of each image."""
        smoothing = self.smoothing(counts).to(logits)[labels]
        log_prob = logits.log_softmax(1)
        true = log_prob.gather(1, labels[:, None])[:, 0]
        others = (log_prob.sum(1) - true) / max(1, logits.shape[1] - 1)
        return -(1 - smoothing) * true - smoothing * others

    def smoothing(self, counts: torch.Tensor) -> torch.Tensor:
        """Return the smoothing of each class, (K,)."""
        span = (counts.max() - counts.min()).clamp(min=1)
        grown = SHAPES[self.shape]((counts - counts.min()) / span)
        return self.tail + (self.head - self.tail) * grown
