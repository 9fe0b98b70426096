"""Supervised contrastive learning that gives every class the same weight."""

import torch
import torch.nn.functional as F
from torch import nn

from mmimbal.models.losses.pairs import refuse_miner
from mmimbal.registry import MODELS


@MODELS.register_module()
class BalancedContrastiveLoss(nn.Module):
    """Balanced contrastive loss (BCL, https://arxiv.org/abs/2207.09052).

    SupCon with two changes. Class averaging: in the denominator each class counts by
    its mean, so that the common class does not fill it. Class complement: every class
    has a prototype in every batch, made from its weights in the classifier by
    linear, ReLU, linear. For :class:`mmimbal.models.BalancedContrastiveClsHead`, which
    passes those.

    Args:
        in_channels: Size of the classifier's weights.
        embedding_size: D.
        temperature: What cosine similarities are divided by, > 0.

    Raises:
        ValueError: If the temperature is not positive.
    """

    def __init__(
        self, in_channels: int, embedding_size: int, temperature: float = 0.1
    ) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f'temperature={temperature} must be positive')
        self.temperature = temperature
        self.prototypes = nn.Sequential(
            nn.Linear(in_channels, in_channels),
            nn.ReLU(inplace=True),
            nn.Linear(in_channels, embedding_size),
        )

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        indices_tuple: tuple | None = None,
        *,
        class_weights: torch.Tensor,
    ) -> torch.Tensor:
        """Compute the loss of a batch.

        Args:
            embeddings: (B, D), of any length.
            labels: (B,), of 0..K-1.
            indices_tuple: Of a miner, which this loss does not take.
            class_weights: Of the classifier, (K, in_channels).

        Raises:
            ValueError: If there is a miner.
        """
        refuse_miner(self, indices_tuple)
        prototypes = self.prototypes(class_weights)
        return balanced_contrastive(embeddings, labels, prototypes, self.temperature)


def balanced_contrastive(
    embeddings: torch.Tensor,
    labels: torch.Tensor,
    prototypes: torch.Tensor,
    temperature: float,
) -> torch.Tensor:
    """Average over anchors how badly their classes are told from the others.

    Args:
        embeddings: (B, D), of any length.
        labels: (B,), of 0..K-1.
        prototypes: (K, D), of any length.
        temperature: What cosine similarities are divided by.

    Returns:
        A scalar.
    """
    everything = F.normalize(torch.cat([embeddings, prototypes]))
    classes = torch.arange(len(prototypes), device=labels.device)
    all_labels = torch.cat([labels, classes])
    logits = everything[: len(labels)] @ everything.T / temperature

    same = labels[:, None] == all_labels
    positive = same.clone().fill_diagonal_(False)
    itself = same & ~positive
    members = torch.bincount(all_labels)[all_labels] - same.int()  # without the anchor
    shares = (logits - members.log()).masked_fill(itself, -torch.inf)
    log_prob = logits - shares.logsumexp(1, keepdim=True)
    return -(torch.where(positive, log_prob, 0.0).sum(1) / positive.sum(1)).mean()
