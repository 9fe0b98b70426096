"""Supervised contrastive learning with equally many positives for each image."""

import numpy as np
import torch

from mmimbal.datasets.whole_number import whole_number
from mmimbal.models.losses.contrast import cosine_logits_of_others, mean_over_positives
from mmimbal.models.losses.known_numbers import KnownNumbers
from mmimbal.models.losses.pairs import refuse_miner
from mmimbal.registry import MODELS


@MODELS.register_module()
class KPositivesLoss(KnownNumbers):
    """K-positive contrastive loss (KCL, https://openreview.net/forum?id=OqtLIabPTit).

    Positives of an image are its other views, and K images of its class that are drawn
    at random: so common classes do not have more of them than rare ones. All other
    images are in the denominator. :class:`mmimbal.models.ImageViewsClsHead` tells which
    rows are views of one image. Draws depend on a counter in the state dict alone, so
    that all ranks and a resumed run have the same.

    Args:
        k: Number of positives besides the other views, at least 1.
        temperature: Divisor of the cosine similarities, > 0.

    Raises:
        ValueError: If an option is outside its range, or there is a miner.
    """

    takes_miner = False

    def __init__(self, k: int = 6, temperature: float = 0.1) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f'temperature={temperature} must be positive')
        self.k = whole_number('k', k)
        self.temperature = temperature
        self.register_buffer('draws', torch.zeros((), dtype=torch.long))

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        indices_tuple: tuple | None = None,
        images: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Compute the loss of a batch.

        Args:
            embeddings: (B, D); they are normalized here.
            labels: (B,).
            indices_tuple: Must be ``None``: this loss takes no miner.
            images: Number of the image of each row, (B,). All rows are images of their
                own if ``None``.
        """
        positive = self.draw(labels, indices_tuple, images)
        logits = cosine_logits_of_others(embeddings, self.temperature)
        return mean_over_positives(logits.log_softmax(1), positive).mean()

    def draw(
        self,
        labels: torch.Tensor,
        indices_tuple: tuple | None,
        images: torch.Tensor | None,
    ) -> torch.Tensor:
        """Draw the positives of each row, a mask, (B, B), bool."""
        refuse_miner(self, indices_tuple)
        # Seeds that follow each other give unrelated numbers in NumPy, not in torch.
        random = np.random.default_rng(self.number('draws'))
        if self.training:
            self.set_number('draws', self.number('draws') + 1)
        return draw_positives(labels, images, self.k, random)


def draw_positives(
    labels: torch.Tensor,
    images: torch.Tensor | None,
    k: int,
    random: np.random.Generator,
) -> torch.Tensor:
    """Draw k positives of each row among the other images of its class.

    Args:
        labels: (B,).
        images: Number of the image of each row, (B,), or ``None``.
        k: Number of positives; all if there are fewer.
        random: Random numbers.

    Returns:
        A mask of them and of the other views of the image, (B, B), bool.
    """
    size = len(labels)
    if images is None:
        images = torch.arange(size, device=labels.device)
    view = images[:, None] == images
    other = (labels[:, None] == labels) & ~view
    drawn = torch.from_numpy(random.random((size, size), dtype=np.float32))
    drawn = drawn.to(labels.device, non_blocking=True).masked_fill(~other, -1.0)
    chosen = drawn.topk(min(k, size), dim=1).indices
    positive = torch.zeros_like(other).scatter(1, chosen, True) & other
    return positive | view.fill_diagonal_(False)
