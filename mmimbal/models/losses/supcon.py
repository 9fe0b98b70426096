"""Supervised contrastive learning."""

import torch
from pytorch_metric_learning import distances, losses, reducers

from mmimbal.models.losses.contrast import cosine_logits_of_others, mean_over_positives
from mmimbal.models.losses.pml import from_config
from mmimbal.registry import MODELS


class SupConLoss(losses.SupConLoss):
    """Supervised contrastive loss (SupCon, https://arxiv.org/abs/2004.11362).

    Replaces the loss of pytorch-metric-learning; arguments and values are the same.
    There a GPU waits in each step. Here it does not, except with a miner, a memory, or
    another distance, reducer or regularizer.
    """

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        indices_tuple: tuple | None = None,
        ref_emb: torch.Tensor | None = None,
        ref_labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Compute the loss of a batch, averaged over the images with a loss above 0.

        Args:
            embeddings: (B, D); they are normalized here.
            labels: (B,).
            indices_tuple: Pairs of a miner, or ``None`` for all.
            ref_emb: Embeddings to compare with, (M, D), or ``None`` for the batch.
            ref_labels: Their labels, (M,).

        Returns:
            A scalar; 0 without a pair of one class or of two classes.
        """
        if indices_tuple is None and ref_emb is None and self._is_usual():
            return supervised_contrastive(embeddings, labels, self.temperature)
        return super().forward(embeddings, labels, indices_tuple, ref_emb, ref_labels)

    def _is_usual(self) -> bool:
        return (
            type(self.distance) is distances.CosineSimilarity
            and (self.distance.p, self.distance.power) == (2, 1)
            and type(self.reducer) is reducers.AvgNonZeroReducer
            and self.embedding_regularizer is None
        )


def supervised_contrastive(
    embeddings: torch.Tensor, labels: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Return the loss of :class:`SupConLoss`, a scalar.

    Args:
        embeddings: (B, D); they are normalized here.
        labels: (B,).
        temperature: Divisor of the cosine similarities.
    """
    positive = (labels[:, None] == labels).fill_diagonal_(False)
    log_prob = cosine_logits_of_others(embeddings, temperature).log_softmax(1)
    of_images = mean_over_positives(log_prob, positive)
    has_two_classes = (labels != labels[0]).any()
    # As AvgNonZeroReducer: images whose loss is rounded to 0 do not count.
    return of_images.sum() * has_two_classes / (of_images > 0).sum().clamp(min=1)


MODELS.register_module('SupConLoss', module=from_config(SupConLoss))
