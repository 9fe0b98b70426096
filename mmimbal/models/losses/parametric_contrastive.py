"""Contrastive learning with the classifier as class centres, and a queue."""

import torch
import torch.nn.functional as F

from mmimbal.models.losses.class_counts_loss import UsesClassCounts
from mmimbal.models.losses.contrast import cosine_logits_of_others
from mmimbal.models.losses.logit_adjustment import log_prior
from mmimbal.models.losses.pairs import refuse_miner
from mmimbal.registry import MODELS


@MODELS.register_module()
class ParametricContrastiveLoss(UsesClassCounts):
    """Parametric contrastive loss (GPaCo, https://arxiv.org/abs/2209.12400).

    An image is compared with the other images of the batch, those of a queue, and a
    learned centre of each class. Images of its class weigh ``positive_weight``, its
    centre 1: so that a common class, which has more positives, does not weigh more. The
    centres are the weights of the classifier, and compared with features, not with
    embeddings; the prior is added to their logits.
    :class:`mmimbal.models.ParametricContrastiveClsHead` passes these logits. There is
    no momentum encoder: the queue holds embeddings of earlier steps, in buffers, so
    that a resumed run is exact.

    Args:
        embedding_size: Size D of the embeddings.
        temperature: Divisor of the cosine similarities of images, > 0.
        positive_weight: Weight of each image of the same class, >= 0.
        queue_size: Number of embeddings in the queue, Q, >= 0.

    Raises:
        ValueError: If an option is outside its range, or there is a miner.
        RuntimeError: Without ``mmimbal.ClassCountsHook``.
    """

    takes_miner = False

    def __init__(
        self,
        embedding_size: int,
        temperature: float = 0.2,
        positive_weight: float = 0.05,
        queue_size: int = 1024,
    ) -> None:
        super().__init__()
        if temperature <= 0 or positive_weight < 0 or queue_size < 0:
            raise ValueError(
                f'temperature={temperature} must be positive, and '
                f'positive_weight={positive_weight} and queue_size={queue_size} must '
                'not be negative'
            )
        self.temperature = temperature
        self.positive_weight = positive_weight
        self.register_buffer('queue', torch.zeros(queue_size, embedding_size))
        # -1: no embedding yet.
        self.register_buffer('queue_labels', torch.full((queue_size,), -1))
        self.register_buffer('written', torch.zeros((), dtype=torch.long))

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        indices_tuple: tuple | None = None,
        *,
        class_logits: torch.Tensor,
    ) -> torch.Tensor:
        """Compute the loss of a batch. In training, then put it into the queue.

        Args:
            embeddings: (B, D); they are normalized here.
            labels: (B,), in 0..K-1.
            indices_tuple: Must be ``None``: this loss takes no miner.
            class_logits: Logits of the classifier, (B, K).
        """
        refuse_miner(self, indices_tuple)
        prior = log_prior(self.counts_on(labels.device)).to(class_logits)
        loss = self._losses(embeddings, labels, class_logits + prior).mean()
        if self.training:
            self._remember(F.normalize(embeddings.detach()), labels)
        return loss

    def _losses(
        self, embeddings: torch.Tensor, labels: torch.Tensor, to_centres: torch.Tensor
    ) -> torch.Tensor:
        directions = F.normalize(embeddings)
        # A copy, because the queue is written before the backward pass.
        queue = self.queue.to(directions, copy=True)
        compared = torch.cat(
            [
                to_centres,
                cosine_logits_of_others(embeddings, self.temperature),
                directions @ queue.T / self.temperature,
            ],
            1,
        )
        classes = torch.arange(to_centres.shape[1], device=labels.device)
        of_compared = torch.cat([classes, labels, self.queue_labels])
        lowest = torch.finfo(compared.dtype).min / 2
        compared = compared.masked_fill(of_compared == -1, lowest)
        weights = (labels[:, None] == of_compared).to(compared)
        sizes = (len(classes), len(labels), len(queue))
        to_classes, to_images, to_queue = weights.split(sizes, 1)
        itself = torch.eye(len(labels), dtype=weights.dtype, device=weights.device)
        to_images = to_images * (1 - itself)
        of_images = self.positive_weight * torch.cat([to_images, to_queue], 1)
        weights = torch.cat([to_classes, of_images], 1)
        log_prob = compared.log_softmax(1)
        weighted = torch.where(weights > 0, weights * log_prob, 0.0)
        return -weighted.sum(1) / weights.sum(1)

    @torch.no_grad()
    def _remember(self, directions: torch.Tensor, labels: torch.Tensor) -> None:
        """Replace the oldest embeddings of the queue."""
        size = len(self.queue)
        if size:
            directions, labels = directions[-size:], labels[-size:]
            slots = torch.arange(len(labels), device=labels.device)
            slots = (self.written + slots) % size
            self.queue[slots] = directions.to(self.queue)
            self.queue_labels[slots] = labels
            self.written += len(labels)
