"""A cosine classifier."""

import math

import torch
import torch.nn.functional as F
from mmpretrain.models import LinearClsHead
from torch import nn

from mmimbal.models.losses.precision import in_full_precision
from mmimbal.registry import MODELS


@MODELS.register_module()
class CosineClsHead(LinearClsHead):
    """Classify by the cosine of features and class weights (arXiv:1910.09217).

    Norms of weights grow with the class counts; here norms have no influence. There is
    no bias.

    Args:
        num_classes: Number of classes, K.
        in_channels: Size of the features.
        scale: Factor of the cosines, > 0.
        **kwargs: As in :class:`mmpretrain.models.LinearClsHead`.

    Raises:
        ValueError: If the scale is not positive, or the loss has another scale.
    """

    def __init__(
        self, num_classes: int, in_channels: int, scale: float = 16.0, **kwargs
    ) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        use_cosine_classifier(self, scale)

    def forward(self, feats: tuple[torch.Tensor]) -> torch.Tensor:
        """Return scaled cosines, (N, K), of the last features, (N, in_channels)."""
        return cosine_logits(self.pre_logits(feats), self.fc.weight, self.scale)


def use_cosine_classifier(head: LinearClsHead, scale: float) -> None:
    """Give a linear head a scale, and remove its bias.

    Raises:
        ValueError: If the scale is not positive, or the loss of the head has another.
    """
    if scale <= 0:
        raise ValueError(f'scale={scale} must be positive')
    check_scale_of_loss(head.loss_module, scale)
    # A buffer, so that checkpoints hold the scale they were trained with.
    head.register_buffer('scale', torch.tensor(float(scale)))
    head.fc.register_parameter('bias', None)


def check_scale_of_loss(loss: nn.Module, scale: float) -> None:
    """Raise a ValueError if a loss has another scale than the head before it."""
    # The scale of a head is a float32.
    if not math.isclose(getattr(loss, 'scale', scale), scale, rel_tol=1e-6):
        raise ValueError(
            f'the head has scale={scale:g}, but its loss has scale={loss.scale:g}: set '
            'both to the same value'
        )


def cosine_logits(
    features: torch.Tensor, weights: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """Return scaled cosines of features, (N, D), and class weights, (K, D): (N, K)."""
    # float32, since the scale multiplies rounding errors.
    with torch.autocast(features.device.type, enabled=False):
        features, weights = in_full_precision(features), in_full_precision(weights)
        cosines = F.normalize(features) @ F.normalize(weights).T
    return scale * cosines
