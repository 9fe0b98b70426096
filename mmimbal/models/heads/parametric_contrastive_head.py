"""A head for parametric contrastive learning in stage 1."""

import torch
from mmpretrain.structures import DataSample

from mmimbal.models.heads.metric_learning_head import MetricLearningClsHead
from mmimbal.models.losses.gather import gather_embeddings
from mmimbal.models.losses.precision import in_full_precision
from mmimbal.registry import MODELS


@MODELS.register_module()
class ParametricContrastiveClsHead(MetricLearningClsHead):
    """Pass the logits of the classifier to the loss, for its class centres.

    For ``metric_loss=dict(type='mmimbal.ParametricContrastiveLoss')``. Arguments are as
    in :class:`MetricLearningClsHead`. https://arxiv.org/abs/2209.12400
    """

    gives = ('class_logits',)

    def loss_arguments(
        self, features: torch.Tensor, samples: list[DataSample]
    ) -> dict[str, torch.Tensor]:
        """Return the logits of the classifier for the features of all ranks, (B, K)."""
        features = gather_embeddings(in_full_precision(features))
        return dict(class_logits=self.classify(features))
