"""A head for balanced contrastive learning in stage 1."""

import torch

from mmimbal.models.heads.metric_learning_head import MetricLearningClsHead
from mmimbal.registry import MODELS


@MODELS.register_module()
class BalancedContrastiveClsHead(MetricLearningClsHead):
    """Pass the classifier's weights to the contrastive loss, for its prototypes.

    For ``metric_loss=dict(type='mmimbal.BalancedContrastiveLoss')``. Arguments are as
    in :class:`MetricLearningClsHead`. https://arxiv.org/abs/2207.09052
    """

    def compute_metric_loss(
        self, embeddings: torch.Tensor, labels: torch.Tensor, mined: tuple | None
    ) -> torch.Tensor:
        """Compute the metric loss; see the parent class for the arguments."""
        return self.metric_loss(embeddings, labels, mined, class_weights=self.fc.weight)
