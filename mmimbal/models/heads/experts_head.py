"""Several linear classifiers, each for another class distribution."""

from collections.abc import Sequence

import torch
from mmpretrain.models.heads import ClsHead
from mmpretrain.structures import DataSample
from torch import nn

from mmimbal.models.losses.logit_adjustment import LogitAdjustmentLoss
from mmimbal.registry import MODELS


@MODELS.register_module()
class ExpertsClsHead(ClsHead):
    """Average the logits of several experts, for common, all and rare classes.

    Each expert is a linear classifier, trained with ``mmimbal.LogitAdjustmentLoss`` of
    another ``tau``: 0 learns the classes as they are, 1 as if they were balanced, 2 as
    if rare classes were common. The loss is the mean of theirs, and prediction uses the
    mean of their logits, which is balanced if the mean of ``taus`` is 1. Labels may be
    mixed. SADE (https://arxiv.org/abs/2107.09249), BalPoE
    (https://arxiv.org/abs/2206.05260).

    Args:
        num_classes: Number of classes, K.
        in_channels: Size of the features.
        taus: Strength of the prior of each expert, E numbers >= 0.
        init_cfg: As in :class:`mmpretrain.models.LinearClsHead`.

    Raises:
        ValueError: If there is no expert, or a strength is negative.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        taus: Sequence[float] = (0.0, 1.0, 2.0),
        init_cfg: dict | None = None,
    ) -> None:
        init_cfg = init_cfg or dict(type='Normal', layer='Linear', std=0.01)
        super().__init__(init_cfg=init_cfg)
        if not taus:
            raise ValueError('taus is empty: give one strength for each expert')
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.experts = nn.ModuleList(nn.Linear(in_channels, num_classes) for _ in taus)
        self.loss_module = nn.ModuleList(LogitAdjustmentLoss(tau) for tau in taus)

    def expert_logits(self, feats: tuple[torch.Tensor]) -> torch.Tensor:
        """Return the logits of each expert, (N, E, K)."""
        features = self.pre_logits(feats)
        return torch.stack([expert(features) for expert in self.experts], 1)

    def forward(self, feats: tuple[torch.Tensor]) -> torch.Tensor:
        """Return mean logits, (N, K), of the last features, (N, in_channels)."""
        return self.expert_logits(feats).mean(1)

    def loss(
        self, feats: tuple[torch.Tensor], data_samples: list[DataSample], **kwargs
    ) -> dict[str, torch.Tensor]:
        """Compute the mean loss of the experts.

        Args:
            feats: Features of the backbone's stages, the last (N, in_channels).
            data_samples: Samples with ``gt_label``, or ``gt_score`` if mixed.
            **kwargs: For the losses.
        """
        if 'gt_score' in data_samples[0]:
            target = torch.stack([sample.gt_score for sample in data_samples])
        else:
            target = torch.cat([sample.gt_label for sample in data_samples])
        logits = self.expert_logits(feats).unbind(1)
        losses = [
            loss(of_expert, target, avg_factor=len(target), **kwargs)
            for loss, of_expert in zip(self.loss_module, logits, strict=True)
        ]
        return dict(loss=torch.stack(losses).mean())
