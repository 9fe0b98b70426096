"""A head for parametric contrastive learning in stage 1."""

import torch
from mmpretrain.structures import DataSample

from mmimbal.models.heads.metric_learning_head import MetricLearningClsHead
from mmimbal.models.heads.rows import rows_of_losses, take
from mmimbal.models.losses.gather import gather_embeddings
from mmimbal.models.losses.reductions import in_full_precision
from mmimbal.registry import MODELS


@MODELS.register_module()
class ParametricContrastiveClsHead(MetricLearningClsHead):
    """Pass the logits of the classifier to the loss, for its class centres.

    For ``metric_loss=dict(type='mmimbal.ParametricContrastiveLoss')``. Arguments are as
    in :class:`MetricLearningClsHead`. https://arxiv.org/abs/2209.12400
    """

    _features: torch.Tensor

    def loss(
        self, feats: tuple[torch.Tensor], data_samples: list[DataSample], **kwargs
    ) -> dict[str, torch.Tensor]:
        """Compute the losses; see the parent class."""
        if self.metric_weight.start:
            rows = rows_of_losses(data_samples, self.natural_size, self.separate_views)
            self._features = take(self.pre_logits(feats), rows[1])
        return super().loss(feats, data_samples, **kwargs)

    def compute_metric_loss(
        self, embeddings: torch.Tensor, labels: torch.Tensor, mined: tuple | None
    ) -> torch.Tensor:
        """Compute the metric loss; see the parent class for the arguments."""
        features = gather_embeddings(in_full_precision(self._features))
        del self._features  # holds the graph of this step
        return self.metric_loss(
            embeddings, labels, mined, class_logits=self.classify(features)
        )
