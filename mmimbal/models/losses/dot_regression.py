"""Dot-regression loss for classifiers that do not learn."""

import torch
import torch.nn.functional as F
from torch import nn

from mmimbal.registry import MODELS


@MODELS.register_module()
class DotRegressionLoss(nn.Module):
    """Regress the logit of the true class on the scale of the head.

    ``(logit - scale) ** 2 / (2 * scale)``, where the logit is the scale times a cosine.
    For :class:`mmimbal.models.ETFClsHead`: other classes do not push, as the fixed
    weights keep them apart. https://arxiv.org/abs/2203.09081

    Args:
        scale: Scale of the head, in the paper the square root of E_W E_H.

    Raises:
        ValueError: If the scale is not positive.
    """

    def __init__(self, scale: float = 16.0) -> None:
        super().__init__()
        if scale <= 0:
            raise ValueError(f'scale={scale} must be positive')
        self.scale = scale

    def forward(
        self,
        cls_score: torch.Tensor,
        label: torch.Tensor,
        weight: torch.Tensor | None = None,
        avg_factor: int | None = None,
    ) -> torch.Tensor:
        """Compute the loss of a batch.

        Args:
            cls_score: Scaled cosines, (N, K).
            label: (N,), or class shares, (N, K), as of Mixup.
            weight: Weight of each image, (N,).
            avg_factor: Divisor of the sum over images; N if ``None``.
        """
        if label.dim() == 1:
            label = F.one_hot(label, cls_score.shape[1])
        squares = (cls_score.float() - self.scale).square() / (2 * self.scale)
        losses = (label * squares).sum(1)
        if weight is not None:
            losses = losses * weight
        return losses.sum() / (avg_factor or len(losses))
