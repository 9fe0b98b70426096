"""A classifier whose class weights are fixed, and as far apart as they can be."""

import torch
from mmpretrain.models.heads import ClsHead
from torch import nn

from mmimbal.models.heads.cosine_head import check_scale_of_loss, cosine_logits
from mmimbal.models.losses.simplex import spread_points
from mmimbal.registry import MODELS


@MODELS.register_module()
class ETFClsHead(ClsHead):
    """Learn features towards a fixed simplex (ETF, https://arxiv.org/abs/2203.09081).

    Class weights are the corners of a simplex, so that rare classes are as far from the
    others as common ones. Logits are scaled cosines of the weights and a linear
    projection of the features: features after a ReLU, which are not negative, cannot
    reach all corners themselves.

    Args:
        num_classes: Number of classes, K, at least 2.
        in_channels: Size of the features.
        embedding_size: Size D of the projection, at least K - 1; ``in_channels`` if
            ``None``.
        scale: Factor of the cosines, > 0.
        seed: Seed of the rotation of the simplex.
        loss: Config of the loss; ``mmimbal.DotRegressionLoss`` with the scale of the
            head if ``None``.
        init_cfg: Initialization of the projection; that of torch if ``None``.
        **kwargs: As in :class:`mmpretrain.models.ClsHead`.

    Raises:
        ValueError: If there are fewer than 2 classes, more than a simplex of this size
            has corners, the scale is not positive, or the loss has another scale.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        embedding_size: int | None = None,
        scale: float = 16.0,
        seed: int = 0,
        loss: dict | None = None,
        init_cfg: dict | None = None,
        **kwargs,
    ) -> None:
        loss = loss or dict(type='mmimbal.DotRegressionLoss', scale=scale)
        super().__init__(loss=loss, init_cfg=init_cfg, **kwargs)
        check_scale_of_loss(self.loss_module, scale)
        size = embedding_size or in_channels
        if num_classes > size + 1:
            raise ValueError(
                f'a simplex of size {size} has {size + 1} corners, too few for '
                f'num_classes={num_classes}: set embedding_size to {num_classes - 1} '
                'or more'
            )
        if scale <= 0:
            raise ValueError(f'scale={scale} must be positive')
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.projection = nn.Linear(in_channels, size)
        self.register_buffer('corners', spread_points(num_classes, size, seed))
        self.register_buffer('scale', torch.tensor(float(scale)))

    def forward(self, feats: tuple[torch.Tensor]) -> torch.Tensor:
        """Return scaled cosines, (N, K), of the last features, (N, in_channels)."""
        embeddings = self.projection(self.pre_logits(feats))
        return cosine_logits(embeddings, self.corners, self.scale)
