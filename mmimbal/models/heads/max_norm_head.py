"""A linear classifier whose class weights have a largest norm."""

import torch
import torch.nn.functional as F
from mmpretrain.models import LinearClsHead

from mmimbal.registry import MODELS

ROUNDING = 1e-6  # of a norm, relative


@MODELS.register_module()
class MaxNormClsHead(LinearClsHead):
    """Bound the norm of the weights of each class (https://arxiv.org/abs/2203.14197).

    Weights beyond the bound are set back to it before each step (projected gradient
    descent), in prediction, and in the state dict, so that common classes cannot have
    much larger weights than rare ones. The paper combines it with a tuned weight decay,
    which keeps small weights balanced too.

    Args:
        num_classes: Number of classes, K.
        in_channels: Size of the features.
        max_norm: Largest norm, > 0. Weights begin with ``0.01 * sqrt(in_channels)``.
        **kwargs: As in :class:`mmpretrain.models.LinearClsHead`.

    Raises:
        ValueError: If ``max_norm`` is not positive.
    """

    def __init__(
        self, num_classes: int, in_channels: int, max_norm: float = 1.0, **kwargs
    ) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        if max_norm <= 0:
            raise ValueError(f'max_norm={max_norm} must be positive')
        self.max_norm = max_norm
        self.register_state_dict_pre_hook(set_back)

    def forward(self, feats: tuple[torch.Tensor]) -> torch.Tensor:
        """Return logits, (N, K), of the last features, (N, in_channels)."""
        if self.training:
            set_back(self)
            return super().forward(feats)
        weights = bounded(self.fc.weight, self.max_norm)
        return F.linear(self.pre_logits(feats), weights, self.fc.bias)


def set_back(head: MaxNormClsHead, *_) -> None:
    """Set the weights of a head back to the bound. Can be a state dict hook."""
    # Of the data, so that a second call before the backward pass is allowed.
    head.fc.weight.data.copy_(bounded(head.fc.weight.data, head.max_norm))


def bounded(weights: torch.Tensor, max_norm: float) -> torch.Tensor:
    """Return weights, (K, D), with no row longer than ``max_norm``.

    Rows of bounded weights stay as they are: ranks may call it more or less often.
    """
    norms = weights.norm(dim=1, keepdim=True).clamp(min=1e-12)
    is_bounded = norms <= max_norm * (1 + ROUNDING)
    return torch.where(is_bounded, weights, weights * (max_norm / norms))
