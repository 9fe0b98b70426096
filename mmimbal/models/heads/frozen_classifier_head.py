"""Heads that keep and correct the classifier of stage 1."""

import torch
from mmpretrain.models import LinearClsHead
from torch import nn

from mmimbal.models.heads.fitted_heads import FittedHead
from mmimbal.models.needs import CLASSIFIER
from mmimbal.registry import MODELS


class FrozenClassifierHead(LinearClsHead):
    """A linear classifier with frozen weights of stage 1.

    :class:`mmimbal.engine.hooks.TwoStageHook` loads them with :meth:`load_stage1`.
    Arguments as in :class:`mmpretrain.models.LinearClsHead`.

    Raises:
        RuntimeError: When trained without weights of stage 1.
    """

    needs = (CLASSIFIER,)
    is_loaded = False

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fc.requires_grad_(False)

    def loss(self, *args, **kwargs) -> dict[str, torch.Tensor]:
        """Compute the loss as :class:`mmpretrain.models.LinearClsHead` does."""
        if not self.is_loaded:
            raise RuntimeError(
                f'{type(self).__name__} needs the classifier of stage 1, but none was '
                'loaded: use it in a stage 2 with mmimbal.TwoStageHook'
            )
        return super().loss(*args, **kwargs)

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs) -> None:
        weight = state_dict.get(f'{prefix}fc.weight')
        if weight is not None and weight.shape == self.fc.weight.shape:
            self.is_loaded = True  # by a resumed run
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def load_stage1(self, state: dict[str, torch.Tensor]) -> None:
        """Load the classifier of stage 1.

        Args:
            state: State dict of the head of stage 1, with ``fc.weight``,
                (K, in_channels), and optionally ``fc.bias``, (K,); or that of
                MMPretrain's VisionTransformerClsHead without ``hidden_dim``.

        Raises:
            ValueError: If there is no classifier, or it has another size, or is not
                linear.
        """
        beside = ('layers.pre_logits', 'layers.head_dist')  # a hidden layer; DeiT's
        if not any(key.startswith(beside) for key in state):
            # VisionTransformerClsHead without them is linear, too.
            of_vit = (
                ('layers.head.weight', 'fc.weight'),
                ('layers.head.bias', 'fc.bias'),
            )
            state = state | {new: state[old] for old, new in of_vit if old in state}
        weight = state.get('fc.weight')
        # With these keys, logits are not those of fc alone.
        extra_keys = [key for key in ('scale', 'tau') if key in state]
        if weight is None or weight.shape != self.fc.weight.shape or extra_keys:
            stored = 'none' if weight is None else f'one of {tuple(weight.shape)}'
            if extra_keys:
                stored += f' with a {extra_keys[0]}, as CosineClsHead has it'
            raise ValueError(
                f'{type(self).__name__} needs a classifier fc.weight of '
                f'{tuple(self.fc.weight.shape)}, but stage 1 has {stored}. Train '
                'stage 1 with a linear head: LinearClsHead or '
                'mmimbal.MetricLearningClsHead without cosine_scale'
            )
        self.is_loaded = True
        bias = state.get('fc.bias', torch.zeros(len(weight)))
        self.fc.load_state_dict(dict(weight=weight, bias=bias))


@MODELS.register_module()
class LWSClsHead(FrozenClassifierHead):
    """Learnable weight scaling (https://arxiv.org/abs/1910.09217).

    Multiplies the logits of stage 1 by one learned factor per class. Nothing else is
    trained. Arguments as in :class:`mmpretrain.models.LinearClsHead`.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.scale = nn.Parameter(torch.ones(self.num_classes))

    def forward(self, feats: tuple[torch.Tensor]) -> torch.Tensor:
        """Return logits, (N, K), of the last features, (N, in_channels)."""
        return self.scale * super().forward(feats)


@MODELS.register_module()
class DisAlignClsHead(FrozenClassifierHead):
    """Distribution alignment (https://arxiv.org/abs/2103.16370).

    Changes the logits ``s`` of stage 1 to ``c (a s + b) + (1 - c) s``. ``a`` and ``b``
    are learned per class. The confidence ``c`` of an image is a sigmoid of a learned
    linear function of its features. Use it with
    ``loss=dict(type='mmimbal.PriorWeightedLoss', rho=1.5)``. Arguments as in
    :class:`mmpretrain.models.LinearClsHead`.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.scale = nn.Parameter(torch.ones(self.num_classes))
        self.shift = nn.Parameter(torch.zeros(self.num_classes))
        self.confidence = nn.Linear(self.in_channels, 1)

    def forward(self, feats: tuple[torch.Tensor]) -> torch.Tensor:
        """Return aligned logits, (N, K), of the last features, (N, in_channels)."""
        features = self.pre_logits(feats)
        logits = self.fc(features)
        confidence = self.confidence(features).sigmoid()
        aligned = self.scale * logits + self.shift
        return confidence * aligned + (1 - confidence) * logits


@MODELS.register_module()
class TauNormClsHead(FittedHead, FrozenClassifierHead):
    """Tau-normalisation (https://arxiv.org/abs/1910.09217).

    Divides the weights of each class by ``norm ** tau``, and drops the bias. Nothing is
    trained.

    Args:
        *args: As in :class:`mmpretrain.models.LinearClsHead`.
        tau: 0 keeps the weights, 1 makes all norms 1.
        **kwargs: As in :class:`mmpretrain.models.LinearClsHead`.
    """

    def __init__(self, *args, tau: float = 0.7, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        # A buffer, so that checkpoints hold their tau and do not fit a linear head.
        self.register_buffer('tau', torch.tensor(float(tau)))

    def fit(self, features: torch.Tensor, labels: torch.Tensor) -> None:
        """Do nothing: the weights of stage 1 are enough."""

    def forward(self, feats: tuple[torch.Tensor]) -> torch.Tensor:
        """Return logits, (N, K), of the last features, (N, in_channels)."""
        norms = self.fc.weight.norm(dim=1, keepdim=True).clamp(min=1e-12)
        return self.pre_logits(feats) @ (self.fc.weight / norms**self.tau).T


@MODELS.register_module()
class LogitAdjustedClsHead(FittedHead, FrozenClassifierHead):
    """Logit adjustment after training (https://arxiv.org/abs/2007.07314).

    Subtracts ``tau * log(prior)`` from the logits of stage 1; the prior is the share of
    each class in the training images. Nothing is trained. For a stage 1 with plain
    cross-entropy. After a loss that uses the prior (``mmimbal.LogitAdjustmentLoss``)
    logits are adjusted already: set ``tau=0``.

    Args:
        *args: As in :class:`mmpretrain.models.LinearClsHead`.
        tau: Strength; 0 keeps the logits.
        **kwargs: As in :class:`mmpretrain.models.LinearClsHead`.
    """

    def __init__(self, *args, tau: float = 1.0, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.register_buffer('tau', torch.tensor(float(tau)))
        self.register_buffer('log_prior', torch.zeros(self.num_classes))

    @property
    def adjusts_logits(self) -> bool:
        """Whether the logits differ from those of stage 1."""
        return bool(self.tau)

    def fit(self, features: torch.Tensor, labels: torch.Tensor) -> None:
        """Compute the prior from the labels of the training images, (N,)."""
        counts = torch.bincount(labels, minlength=self.num_classes).clamp(min=1)
        self.log_prior.copy_((counts / counts.sum()).log())

    def forward(self, feats: tuple[torch.Tensor]) -> torch.Tensor:
        """Return logits, (N, K), of the last features, (N, in_channels)."""
        return super().forward(feats) - self.tau * self.log_prior
