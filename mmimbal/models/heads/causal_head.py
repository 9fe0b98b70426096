"""A classifier that takes out what all images have in common."""

import torch
import torch.nn.functional as F
from mmpretrain.models import LinearClsHead

from mmimbal.models.heads.cosine_head import use_cosine_classifier
from mmimbal.models.losses.gather import gather_without_gradient
from mmimbal.models.losses.precision import in_full_precision
from mmimbal.registry import MODELS


@MODELS.register_module()
class CausalClsHead(LinearClsHead):
    """Total direct effect of the features (TDE, https://arxiv.org/abs/2009.12991).

    Momentum moves features along a direction that favours common classes. In training,
    features and weights are cut into parts, and logits are sums of normalized products
    (:func:`deconfounded`); the running mean of the features gives the direction. In
    prediction, ``alpha`` times the part of the features along it is left out.

    Args:
        num_classes: Number of classes, K.
        in_channels: Size of the features, a multiple of ``parts``.
        scale: Factor of the logits, > 0.
        parts: Number of parts, M.
        gamma: Added to the norms of the weights, >= 0.
        alpha: Strength of the correction, >= 0; 0 predicts as in training.
        momentum: Momentum of the running mean, in [0, 1).
        **kwargs: As in :class:`mmpretrain.models.LinearClsHead`.

    Raises:
        ValueError: If an option is outside its range, or the features cannot be cut
            into equal parts.
    """

    gathers = True  # features of all ranks

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        scale: float = 16.0,
        parts: int = 2,
        gamma: float = 1 / 32,
        alpha: float = 1.5,
        momentum: float = 0.9,
        **kwargs,
    ) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        if parts < 1 or in_channels % parts:
            raise ValueError(
                f'parts={parts} must be at least 1 and divide in_channels={in_channels}'
            )
        if gamma < 0 or alpha < 0 or not 0 <= momentum < 1:
            raise ValueError(
                f'gamma={gamma} and alpha={alpha} must not be negative, and '
                f'momentum={momentum} must be in [0, 1)'
            )
        use_cosine_classifier(self, scale)
        self.parts = parts
        self.gamma = gamma
        self.momentum = momentum
        self.register_buffer('alpha', torch.tensor(float(alpha)))
        self.register_buffer('mean', torch.zeros(in_channels))

    def loss(self, feats, data_samples, **kwargs) -> dict[str, torch.Tensor]:
        """Compute the loss, and move the running mean to the features of all ranks."""
        features = self.pre_logits(feats)
        if self.training:
            everything = gather_without_gradient(in_full_precision(features.detach()))
            self.mean.mul_(self.momentum).add_(everything.mean(0).to(self.mean))
        scores = self._logits(features, 0.0)
        return self._get_loss(scores, data_samples, **kwargs)

    def forward(self, feats: tuple[torch.Tensor]) -> torch.Tensor:
        """Return corrected logits, (N, K), of the last features, (N, in_channels)."""
        return self._logits(self.pre_logits(feats), self.alpha)

    def _logits(self, features: torch.Tensor, alpha: torch.Tensor | float):
        with torch.autocast(features.device.type, enabled=False):
            return self.scale * deconfounded(
                *map(in_full_precision, (features, self.fc.weight, self.mean)),
                self.parts,
                self.gamma,
                alpha,
            )


def deconfounded(
    features: torch.Tensor,
    weights: torch.Tensor,
    mean: torch.Tensor,
    parts: int,
    gamma: float,
    alpha: torch.Tensor | float,
) -> torch.Tensor:
    """Return the mean of the normalized products of the parts, less the direction.

    In each part: ``w (x / |x| - alpha cos(x, d) d) / (|w| + gamma)``, with the unit
    vector d of the running mean.

    Args:
        features: x, (N, D).
        weights: w, (K, D).
        mean: Running mean, (D,).
        parts: Number of parts, M.
        gamma: Added to the norms of the weights.
        alpha: Strength of the correction.

    Returns:
        (N, K).
    """
    x, w, d = (t.unflatten(-1, (parts, -1)) for t in (features, weights, mean))
    x, d = F.normalize(x, dim=-1), F.normalize(d, dim=-1)
    # A vector of length 0, at first or with gamma=0, is 0 and not NaN.
    w = w / (w.norm(dim=-1, keepdim=True) + gamma).clamp(min=1e-12)
    along = (x * d).sum(-1, keepdim=True)
    return torch.einsum('nmd,kmd->nk', x - alpha * along * d, w) / parts
