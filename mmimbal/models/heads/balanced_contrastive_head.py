"""A head for balanced contrastive learning in stage 1."""

import torch
from mmpretrain.structures import DataSample

from mmimbal.models.heads.metric_learning_head import MetricLearningClsHead
from mmimbal.registry import MODELS


@MODELS.register_module()
class BalancedContrastiveClsHead(MetricLearningClsHead):
    """Pass the classifier's weights to the contrastive loss, for its prototypes.

    For ``metric_loss=dict(type='mmimbal.BalancedContrastiveLoss')``. Arguments are as
    in :class:`MetricLearningClsHead`. https://arxiv.org/abs/2207.09052
    """

    gives = ('class_weights',)

    def loss_arguments(
        self, features: torch.Tensor, samples: list[DataSample]
    ) -> dict[str, torch.Tensor]:
        """Return the weights of the classifier, (K, in_channels)."""
        return dict(class_weights=self.fc.weight)
