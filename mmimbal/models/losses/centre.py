"""Centre loss, with centres that are learned."""

import torch
from torch import nn

from mmimbal.models.losses.by_class import count_labels
from mmimbal.models.losses.pairs import refuse_miner
from mmimbal.registry import MODELS


@MODELS.register_module()
class CentreLoss(nn.Module):
    """Half the mean squared distance to the centre of the class.

    Centre loss of Wen et al., ECCV 2016, of embeddings that are not normalized. Centres
    are parameters, and start at 0. Their gradient is that of the paper: the sum of the
    distances from the images of the class, divided by one more than their number, so
    that a rare class is not slower than a common one. This holds for SGD without weight
    decay of the centres: set ``decay_mult=0`` for ``metric_loss.centres`` in
    ``paramwise_cfg``. AdamW divides by the size of gradients, so that ``centre_rate``
    has no effect.
    https://doi.org/10.1007/978-3-319-46478-7_31

    Args:
        num_classes: Number of classes, K.
        embedding_size: Size D of the embeddings.
        centre_rate: Factor of the gradient of the centres, > 0. The metric weight of
            the head multiplies it too: divide by it to move centres as fast as without.

    Raises:
        ValueError: If ``centre_rate`` is not positive, or there is a miner.
    """

    takes_miner = False

    def __init__(
        self, num_classes: int, embedding_size: int, centre_rate: float = 1.0
    ) -> None:
        super().__init__()
        if centre_rate <= 0:
            raise ValueError(f'centre_rate={centre_rate} must be positive')
        self.centre_rate = centre_rate
        self.centres = nn.Parameter(torch.zeros(num_classes, embedding_size))

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        indices_tuple: tuple | None = None,
    ) -> torch.Tensor:
        """Compute the loss of a batch.

        Args:
            embeddings: (B, D).
            labels: (B,), in 0..K-1.
            indices_tuple: Must be ``None``: this loss takes no miner.
        """
        refuse_miner(self, indices_tuple)
        own = self.centres[labels].to(embeddings)
        loss = 0.5 * (embeddings - own.detach()).square().sum(1).mean()
        # A term of value 0 for the gradient of the centres alone.
        counts = count_labels(labels, len(self.centres))
        distances = 0.5 * (embeddings.detach() - own).square().sum(1)
        pull = (distances / (1 + counts[labels])).sum()
        return loss + self.centre_rate * (pull - pull.detach())
