"""Contrastive learning of images, and a pull to a fixed prototype of the class."""

import torch
import torch.nn.functional as F
from torch import nn

from mmimbal.models.losses.alignment import class_alignment, sample_alignment
from mmimbal.models.losses.contrast import cosine_logits_of_others, mean_over_positives
from mmimbal.models.losses.pairs import refuse_miner
from mmimbal.models.losses.simplex import spread_points
from mmimbal.registry import MODELS


@MODELS.register_module()
class SupervisedPrototypesLoss(nn.Module):
    """Supervised prototypes for few classes (https://arxiv.org/abs/2503.17024).

    SupCon collapses on a few imbalanced classes: all images of a batch that are of the
    common class attract each other. Here positives are the other views of the image
    alone, and the prototype of its class, while the image is not nearer to this by
    ``margin`` than to every other prototype. Prototypes are fixed and spread evenly:
    opposite to each other for two classes. All other images are in the denominator,
    prototypes are not. :class:`mmimbal.models.ImageViewsClsHead` tells which rows are
    views of one image.

    Args:
        num_classes: Number of classes, K, at least 2.
        embedding_size: Size D of the embeddings.
        temperature: Divisor of the cosine similarities, > 0.
        margin: Difference of cosines from which on prototypes do not pull, >= 0.
        seed: Seed of the prototypes.

    Attributes:
        monitors: ``sample_alignment`` and ``class_alignment`` of the last batch.

    Raises:
        ValueError: If an option is outside its range, or there is a miner.
    """

    takes_miner = False

    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        temperature: float = 0.1,
        margin: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if temperature <= 0 or margin < 0:
            raise ValueError(
                f'temperature={temperature} must be positive, and margin={margin} must '
                'not be negative'
            )
        self.temperature = temperature
        self.margin = margin
        self.monitors: dict[str, torch.Tensor] = {}
        prototypes = spread_points(num_classes, embedding_size, seed)
        self.register_buffer('prototypes', prototypes)

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        indices_tuple: tuple | None = None,
        images: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Compute the loss of a batch, and the monitors.

        Args:
            embeddings: (B, D); they are normalized here.
            labels: (B,), in 0..K-1.
            indices_tuple: Must be ``None``: this loss takes no miner.
            images: Number of the image of each row, (B,). All rows are images of their
                own if ``None``.
        """
        refuse_miner(self, indices_tuple)
        self.monitors = {}
        if len(labels) < 2:  # nothing to compare with
            return 0.0 * embeddings.sum()
        self.monitors['class_alignment'] = class_alignment(embeddings, labels)
        if images is None:
            images = torch.arange(len(labels), device=labels.device)
        else:
            saa = sample_alignment(embeddings, labels, images)
            self.monitors['sample_alignment'] = saa
        view = (images[:, None] == images).fill_diagonal_(False)
        cosines = F.normalize(embeddings) @ self.prototypes.to(embeddings).T
        own = cosines.gather(1, labels[:, None])
        others = cosines.scatter(1, labels[:, None], -torch.inf)
        pulls = own <= others.amax(1, keepdim=True) + self.margin
        logits = cosine_logits_of_others(embeddings, self.temperature)
        compared = torch.cat([logits, own / self.temperature], 1)
        log_prob = compared - logits.logsumexp(1, keepdim=True)
        return mean_over_positives(log_prob, torch.cat([view, pulls], 1)).mean()
