"""Heads that go on from the classifier of stage 1."""

import torch
from mmpretrain.models import LinearClsHead
from torch import nn

from mmimbal.registry import MODELS


class FrozenClassifierHead(LinearClsHead):
    """A linear classifier that keeps the weights of stage 1.

    :class:`mmimbal.engine.hooks.TwoStageHook` hands them to :meth:`load_stage1`.
    Arguments as in :class:`mmpretrain.models.LinearClsHead`.

    Raises:
        RuntimeError: When it is trained without them.
    """

    is_loaded = False

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fc.requires_grad_(False)

    def loss(self, *args, **kwargs) -> dict[str, torch.Tensor]:
        """Compute the loss as :class:`mmpretrain.models.LinearClsHead` does."""
        if not self.is_loaded:
            raise RuntimeError(
                f'{type(self).__name__} goes on from the classifier of stage 1, and '
                'was given none: it is for a stage 2 with mmimbal.TwoStageHook'
            )
        return super().loss(*args, **kwargs)

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        self.is_loaded = True  # by a run that is resumed
        super()._load_from_state_dict(*args, **kwargs)

    def load_stage1(self, state: dict[str, torch.Tensor]) -> None:
        """Take the classifier of stage 1.

        Args:
            state: Of the head of stage 1; ``fc.weight``, (K, in_channels), and, if it
                has one, ``fc.bias``, (K,), are read.

        Raises:
            ValueError: If there is no such classifier, it is of another size, or not
                linear.
        """
        weight = state.get('fc.weight')
        # Of heads whose logits are not those of fc alone.
        beside = [key for key in ('scale', 'tau') if key in state]
        if weight is None or weight.shape != self.fc.weight.shape or beside:
            found = 'none' if weight is None else f'one of {tuple(weight.shape)}'
            if beside:
                found += f' with a {beside[0]}, such as that of CosineClsHead'
            raise ValueError(
                f'{type(self).__name__} goes on from a classifier fc.weight of '
                f'{tuple(self.fc.weight.shape)}, but stage 1 has {found}. Train '
                'stage 1 with a linear head, such as LinearClsHead or '
                'mmimbal.MetricLearningClsHead'
            )
        self.is_loaded = True
        bias = state.get('fc.bias', torch.zeros(len(weight)))
        self.fc.load_state_dict(dict(weight=weight, bias=bias))


@MODELS.register_module()
class LWSClsHead(FrozenClassifierHead):
    """Learnable weight scaling (https://arxiv.org/abs/1910.09217).

    Logits of stage 1, each class's times a factor of its own: nothing else learns.
    Arguments as in :class:`mmpretrain.models.LinearClsHead`.
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

    Logits of stage 1, s, become ``c (a s + b) + (1 - c) s``: a and b are learned for
    each class, and so is a confidence c of each image, a sigmoid of a linear function
    of its features. For ``loss=dict(type='mmimbal.PriorWeightedLoss', rho=1.5)``.
    Arguments as in :class:`mmpretrain.models.LinearClsHead`.
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
class TauNormClsHead(FrozenClassifierHead):
    """Tau-normalisation (https://arxiv.org/abs/1910.09217).

    The classifier of stage 1 without its bias, each class's weights divided by their
    norm to the power of tau. Nothing learns. Other arguments as in
    :class:`mmpretrain.models.LinearClsHead`.

    Args:
        *args: As in :class:`mmpretrain.models.LinearClsHead`.
        tau: 0 leaves the weights as they are, 1 makes them all of length 1.
        **kwargs: As in :class:`mmpretrain.models.LinearClsHead`.
    """

    def __init__(self, *args, tau: float = 0.7, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        # A buffer: a test with another tau, or as a linear head, would differ.
        self.register_buffer('tau', torch.tensor(float(tau)))

    def fit(self, features: torch.Tensor, labels: torch.Tensor) -> None:
        """Learn nothing: all is in the weights of stage 1."""

    def forward(self, feats: tuple[torch.Tensor]) -> torch.Tensor:
        """Return logits, (N, K), of the last features, (N, in_channels)."""
        norms = self.fc.weight.norm(dim=1, keepdim=True).clamp(min=1e-12)
        return self.pre_logits(feats) @ (self.fc.weight / norms**self.tau).T


@MODELS.register_module()
class LogitAdjustedClsHead(FrozenClassifierHead):
    """Logit adjustment after training (https://arxiv.org/abs/2007.07314).

    Logits of stage 1, less ``tau`` times the logarithm of the classes' shares of the
    training images. Nothing learns. For a stage 1 trained with plain cross-entropy: one
    whose loss knows the prior, such as ``mmimbal.LogitAdjustmentLoss``, is adjusted
    already, and ``tau=0`` is right for it.

    Args:
        *args: As in :class:`mmpretrain.models.LinearClsHead`.
        tau: Strength; 0 leaves the logits as they are.
        **kwargs: As in :class:`mmpretrain.models.LinearClsHead`.
    """

    def __init__(self, *args, tau: float = 1.0, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.register_buffer('tau', torch.tensor(float(tau)))
        self.register_buffer('log_prior', torch.zeros(self.num_classes))

    def fit(self, features: torch.Tensor, labels: torch.Tensor) -> None:
        """Count the classes of the training images, (N,)."""
        counts = torch.bincount(labels, minlength=self.num_classes).clamp(min=1)
        self.log_prior.copy_((counts / counts.sum()).log())

    def forward(self, feats: tuple[torch.Tensor]) -> torch.Tensor:
        """Return logits, (N, K), of the last features, (N, in_channels)."""
        return super().forward(feats) - self.tau * self.log_prior
