"""A class-balanced memory of embeddings of earlier batches."""

import torch
from pytorch_metric_learning.losses import CrossBatchMemory
from torch import nn

from mmimbal.datasets.whole_number import whole_number
from mmimbal.models.losses.pairs import pair_masks
from mmimbal.models.losses.precision import in_full_precision
from mmimbal.registry import MODELS, build_if_config

LOSSES = (*CrossBatchMemory.supported_losses(), 'BatchAllTripletLoss')


@MODELS.register_module()
class ClassBalancedMemory(nn.Module):
    """Compare a batch with itself and with the last embeddings of each class.

    A cross-batch memory (https://arxiv.org/abs/1912.06798) with the same number of
    slots for every class, so that rare classes have positives in every batch. A new
    embedding replaces the oldest one of its class. Under DDP the head passes the
    embeddings of all ranks, so that the memory is equal on all. The memory is in
    buffers, so that a resumed run is exact.

    Args:
        loss: ``BatchAllTripletLoss``, or a loss of pytorch-metric-learning that its
            ``CrossBatchMemory`` supports; or its config.
        num_classes: Number of classes, K.
        embedding_size: Size D of the embeddings.
        slots: Number of embeddings kept per class, S.
        miner: Miner of pairs between batch and memory, or its config; all pairs if
            ``None``.

    Raises:
        ValueError: If the loss does not support a memory, ``slots`` is below 1, or the
            miner would choose each image as its own positive.
    """

    def __init__(
        self,
        loss: nn.Module | dict,
        num_classes: int,
        embedding_size: int,
        slots: int = 32,
        miner: nn.Module | dict | None = None,
    ) -> None:
        super().__init__()
        slots = whole_number('slots', slots)
        self.loss = build_if_config(loss)
        if type(self.loss).__name__ not in LOSSES:
            raise ValueError(
                f'{type(self.loss).__name__} cannot compare a batch with a memory: '
                f'choose from {", ".join(LOSSES)}'
            )
        self.miner = build_if_config(miner)
        strategy = getattr(self.miner, 'pos_strategy', None)
        if strategy in ('easy', 'semihard'):
            raise ValueError(
                f'with a memory, pos_strategy={strategy!r} of '
                f'{type(self.miner).__name__} chooses each image as its own '
                "positive: use 'hard' or 'all'"
            )
        empty = torch.full((num_classes, slots, embedding_size), torch.inf)
        self.register_buffer('memory', empty)
        self.register_buffer('written', torch.zeros(num_classes, dtype=torch.long))

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        indices_tuple: tuple | None = None,
    ) -> torch.Tensor:
        """Compute the loss of a batch. In training, then store the batch.

        Args:
            embeddings: (B, D).
            labels: (B,), in 0..K-1.
            indices_tuple: Must be ``None``: a miner of the head does not see the
                memory.

        Raises:
            ValueError: If the head has a miner.
        """
        if indices_tuple is not None:
            raise ValueError(
                'a miner of the head does not see the memory: move it into '
                'ClassBalancedMemory(miner=...)'
            )
        embeddings = in_full_precision(embeddings)
        stored, stored_labels = self.remembered()
        ref_emb = torch.cat([embeddings, stored.to(embeddings)])
        ref_labels = torch.cat([labels, stored_labels])
        pairs = self._pairs(embeddings, labels, ref_emb, ref_labels)
        loss = self.loss(embeddings, labels, pairs, ref_emb, ref_labels)
        if self.training:
            self.remember(embeddings.detach(), labels)
        return loss

    @property
    def active_share(self) -> torch.Tensor | None:
        """The share of active triplets, or ``None`` if the inner loss has none."""
        return getattr(self.loss, 'active_share', None)

    def remembered(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the stored embeddings, (M, D), sorted by class, and labels, (M,)."""
        label, slot = torch.where(self.memory.isfinite().all(2))
        return self.memory[label, slot], label

    @torch.no_grad()
    def remember(self, embeddings: torch.Tensor, labels: torch.Tensor) -> None:
        """Store embeddings, (B, D), in the slots of their labels, (B,)."""
        slots = self.memory.shape[1]
        labels, order = labels.sort(stable=True)
        counts = torch.bincount(labels, minlength=len(self.written))
        within = torch.arange(len(labels), device=labels.device)
        within -= (counts.cumsum(0) - counts)[labels]  # 0, 1, ... in each class
        last = within >= counts[labels] - slots
        slot = (self.written[labels] + within) % slots
        self.memory[labels[last], slot[last]] = embeddings[order[last]].to(self.memory)
        self.written += counts

    def _pairs(self, embeddings, labels, ref_emb, ref_labels) -> tuple:
        """Return the pairs of batch and memory, except an image with itself."""
        if self.miner:
            mined = self.miner(embeddings, labels, ref_emb, ref_labels)
            if len(mined) == 3:
                others = mined[0] != mined[1]
                return tuple(indices[others] for indices in mined)
            positives, negatives = mined[:2], mined[2:]
            others = positives[0] != positives[1]
            return (*(indices[others] for indices in positives), *negatives)
        positive, negative = pair_masks(labels, ref_labels=ref_labels)
        positive.fill_diagonal_(False)
        return (*torch.where(positive), *torch.where(negative))
