"""A small net that learns on top of the features of a frozen backbone."""

import torch
from mmengine.model import BaseModule
from torch import nn

from mmimbal.registry import MODELS


@MODELS.register_module()
class AdapterNeck(BaseModule):
    """Pool feature maps, and add what a net with one hidden layer makes of them.

    From CLIP-Adapter (arXiv:2110.04544, equations 3 and 5): (1 - ratio) f + ratio g(f).
    The size of the features stays the same, so the head needs no other one.

    Args:
        in_channels: Size of the features, C.
        reduction: The hidden layer has C / reduction units.
        ratio: Share of the new features, above 0 and at most 1.
        init_cfg: As in :class:`mmengine.model.BaseModule`.

    Raises:
        ValueError: If the ratio is not in this range, or the hidden layer is empty.
    """

    def __init__(
        self,
        in_channels: int,
        reduction: int = 4,
        ratio: float = 0.5,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not 0 < ratio <= 1:
            raise ValueError(f'ratio={ratio} must be above 0, and at most 1')
        if not 1 <= reduction <= in_channels:
            raise ValueError(
                f'reduction={reduction} must be from 1 to in_channels={in_channels}'
            )
        self.in_channels = in_channels
        self.ratio = ratio
        self.adapter = nn.Sequential(
            nn.Linear(in_channels, in_channels // reduction),
            nn.ReLU(),
            nn.Linear(in_channels // reduction, in_channels),
        )

    @staticmethod
    def pool(feats: tuple[torch.Tensor]) -> torch.Tensor:
        """Return the features before the adapter.

        Args:
            feats: Outputs of the backbone's stages, the last (N, C, H, W) or (N, C).

        Returns:
            Means over all places, (N, C).

        Raises:
            ValueError: If the last output has another number of dimensions.
        """
        last = feats[-1]
        if last.ndim not in (2, 4):
            raise ValueError(
                f'the backbone returns {tuple(last.shape)}, perhaps (N, tokens, C): it '
                "must be (N, C) or (N, C, H, W). MMPretrain's VisionTransformer has "
                "out_type='cls_token' for this"
            )
        return last if last.ndim == 2 else last.mean((2, 3))

    def forward(self, feats: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        """Return the features, (N, C), in a tuple.

        Args:
            feats: As for :meth:`pool`.
        """
        pooled = self.pool(feats)
        return ((1 - self.ratio) * pooled + self.ratio * self.adapter(pooled),)
