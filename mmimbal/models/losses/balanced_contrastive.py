"""Supervised contrastive learning with equal weight of all classes."""

import torch
import torch.nn.functional as F
from torch import nn

from mmimbal.models.losses.pairs import refuse_miner
from mmimbal.registry import MODELS


@MODELS.register_module()
class BalancedContrastiveLoss(nn.Module):
    """Balanced contrastive loss (BCL, https://arxiv.org/abs/2207.09052).

    SupCon with two changes. Class averaging: the denominator sums the means of the
    classes, so that common classes do not dominate it. Class complement: every batch
    holds a prototype of every class, a projection (linear, ReLU, linear) of its weights
    in the classifier. :class:`mmimbal.models.BalancedContrastiveClsHead` passes these
    weights.

    Args:
        in_channels: Size of the features of the classifier.
        embedding_size: Size D of the embeddings.
        temperature: Divisor of the cosine similarities, > 0.

    Raises:
        ValueError: If the temperature is not positive.
    """

    takes_miner = False

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
            embeddings: (B, D); they are normalized here.
            labels: (B,), in 0..K-1.
            indices_tuple: Must be ``None``: this loss takes no miner.
            class_weights: Weights of the classifier, (K, in_channels).

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
    """Compute the balanced contrastive loss, averaged over the anchors.

    Args:
        embeddings: (B, D); they are normalized here.
        labels: (B,), in 0..K-1.
        prototypes: (K, D); they are normalized here.
        temperature: Divisor of the cosine similarities.

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
    sizes = 1 + (classes[:, None] == labels).sum(1)  # with the prototype
    members = sizes[all_labels] - same.int()  # without the anchor
    shares = (logits - members.log()).masked_fill(itself, -torch.inf)
    log_prob = logits - shares.logsumexp(1, keepdim=True)
    return -(torch.where(positive, log_prob, 0.0).sum(1) / positive.sum(1)).mean()
