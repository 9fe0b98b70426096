"""Classifiers that are computed from all training features, without training."""

import torch
import torch.nn.functional as F
from mmpretrain.models.heads import ClsHead

from mmimbal.datasets.whole_number import whole_number
from mmimbal.registry import MODELS


class FittedHead:
    """A mixin for heads that are computed from features, not trained in steps."""

    def loss(self, *args, **kwargs) -> dict[str, torch.Tensor]:
        """Raise a RuntimeError that says how to use the head."""
        raise RuntimeError(
            f'{type(self).__name__} is not trained, but computed from the features of '
            "stage 1: use train_cfg=dict(type='mmimbal.FitLoop') and "
            'mmimbal.TwoStageHook with stage1'
        )


@MODELS.register_module()
class NearestMeanClsHead(FittedHead, ClsHead):
    """Nearest class mean (https://arxiv.org/abs/1910.09217).

    Features are L2-normalized. Logits are negative squared distances to the class
    means.

    Args:
        num_classes: Number of classes, K.
        in_channels: Size of the features.
        **kwargs: As in :class:`mmpretrain.models.ClsHead`.
    """

    def __init__(self, num_classes: int, in_channels: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.register_buffer('means', torch.zeros(num_classes, in_channels))

    def fit(self, features: torch.Tensor, labels: torch.Tensor) -> None:
        """Compute the class means of features, (N, in_channels), and labels, (N,).

        Raises:
            ValueError: If a class has no image.
        """
        counts = torch.bincount(labels, minlength=self.num_classes)
        if (counts == 0).any():
            empty = (counts == 0).nonzero().flatten().tolist()
            raise ValueError(
                f'no training images of the classes {empty}: add images, or choose '
                'another head'
            )
        sums = torch.zeros_like(self.means).index_add_(
            0, labels, F.normalize(features).to(self.means)
        )
        self.means.copy_(sums / counts[:, None])

    def forward(self, feats: tuple[torch.Tensor]) -> torch.Tensor:
        """Return logits, (N, K), of the last features, (N, in_channels)."""
        with torch.autocast(self.means.device.type, enabled=False):
            features = F.normalize(self.pre_logits(feats).to(self.means))
            # -|f - m|^2. Not by torch.cdist, which ONNX does not know.
            squares = features.square().sum(1, keepdim=True)
            squares = squares + self.means.square().sum(1)
            return 2 * features @ self.means.T - squares


@MODELS.register_module()
class KNNClsHead(FittedHead, ClsHead):
    """Classify by the votes of the k nearest training images.

    Features are L2-normalized. Logits are logarithms of the vote shares, so that the
    scores are the shares.

    Args:
        num_classes: Number of classes, K.
        in_channels: Size of the features.
        k: Number of neighbours, at least 1. Views of an image are separate neighbours.
        balanced: Whether to divide votes by the class counts, so that rare classes are
            not outvoted.
        **kwargs: As in :class:`mmpretrain.models.ClsHead`.

    Raises:
        ValueError: If ``k`` is no whole number, or below 1.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        k: int = 10,
        balanced: bool = True,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.k = whole_number('k', k)
        self.balanced = balanced
        self.register_buffer('features', torch.zeros(0, in_channels))
        self.register_buffer('labels', torch.zeros(0, dtype=torch.long))

    def fit(self, features: torch.Tensor, labels: torch.Tensor) -> None:
        """Store training features, (N, in_channels), and labels, (N,).

        Raises:
            ValueError: If there are fewer than ``k`` images.
        """
        if len(labels) < self.k:
            raise ValueError(
                f'k={self.k} neighbours of {len(labels)} training images: lower k'
            )
        self.features = F.normalize(features).to(self.features)
        self.labels = labels.to(self.labels)

    def forward(self, feats: tuple[torch.Tensor]) -> torch.Tensor:
        """Return logits, (N, K), of the last features, (N, in_channels)."""
        votes = self._neighbours(feats)[1].sum(1).float()
        if self.balanced:
            votes /= torch.bincount(self.labels, minlength=self.num_classes).clamp(1)
        return (votes / votes.sum(1, keepdim=True)).clamp(min=1e-9).log()

    def evidence(self, feats: tuple[torch.Tensor]) -> torch.Tensor:
        """Return the sum of the cosines of the neighbours of each class, (N, K).

        It has a gradient, which votes have not: for class activation maps.
        """
        cosines, votes = self._neighbours(feats)
        return (cosines[:, :, None] * votes).sum(1)

    def _neighbours(self, feats: tuple[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Return cosines of the k nearest, (N, k), and their votes, (N, k, K)."""
        with torch.autocast(self.features.device.type, enabled=False):
            features = F.normalize(self.pre_logits(feats).to(self.features))
            cosines, nearest = (features @ self.features.T).topk(self.k)
        return cosines, F.one_hot(self.labels[nearest], self.num_classes)

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        """Resize the buffers to the number of features in the checkpoint."""
        for name in ('features', 'labels'):
            if prefix + name in state_dict:
                size = len(state_dict[prefix + name])
                buffer = getattr(self, name)
                setattr(self, name, buffer.new_zeros(size, *buffer.shape[1:]))
        super()._load_from_state_dict(state_dict, prefix, *args)
