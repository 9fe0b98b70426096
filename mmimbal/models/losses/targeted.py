"""K-positive contrastive learning towards fixed targets of the classes."""

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment

from mmimbal.models.losses.by_class import moved_centres
from mmimbal.models.losses.contrast import cosine_logits_of_others, mean_over_positives
from mmimbal.models.losses.k_positives import KPositivesLoss
from mmimbal.models.losses.simplex import spread_points
from mmimbal.models.needs import EPOCH, missing
from mmimbal.registry import MODELS


@MODELS.register_module()
class TargetedLoss(KPositivesLoss):
    """Targeted supervised contrastive loss (TSC, https://arxiv.org/abs/2111.13998).

    :class:`KPositivesLoss`, with one target for each class, spread evenly on the
    sphere, so that rare classes have as much room as common ones. All targets are in
    the denominator; an image is also pulled to the target of its class. At the start of
    an epoch, targets are given to the classes whose moving averages are nearest, by the
    Hungarian method.

    Args:
        num_classes: Number of classes, K, at least 2.
        embedding_size: Size D of the embeddings.
        k: As in :class:`KPositivesLoss`.
        temperature: As in :class:`KPositivesLoss`.
        target_weight: Weight of the pull to the targets, >= 0.
        warmup_epochs: Number of epochs without targets.
        momentum: Momentum of the moving averages of the classes, in [0, 1).
        seed: Seed of the targets.

    Raises:
        ValueError: If an option is outside its range, or there is a miner.
        RuntimeError: In training, without ``mmimbal.SetEpochHook``.
    """

    needs = (EPOCH,)

    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        k: int = 6,
        temperature: float = 0.1,
        target_weight: float = 1.0,
        warmup_epochs: int = 0,
        momentum: float = 0.9,
        seed: int = 0,
    ) -> None:
        super().__init__(k, temperature)
        if target_weight < 0 or warmup_epochs < 0 or not 0 <= momentum < 1:
            raise ValueError(
                f'target_weight={target_weight} and warmup_epochs={warmup_epochs} must '
                f'not be negative, and momentum={momentum} must be in [0, 1)'
            )
        self.target_weight = target_weight
        self.warmup_epochs = warmup_epochs
        self.momentum = momentum
        targets = spread_points(num_classes, embedding_size, seed)
        self.register_buffer('targets', targets)
        self.register_buffer('target_of', torch.arange(num_classes))
        self.register_buffer('centres', torch.zeros_like(targets))
        self.register_buffer('epoch', torch.tensor(-1))

    def set_epoch(self, epoch: int) -> None:
        """Give the targets to the nearest classes, if an epoch begins.

        Args:
            epoch: The epoch, counted from 0.
        """
        if epoch != self.number('epoch'):
            self.set_number('epoch', epoch)
            self.target_of.copy_(nearest_targets(self.centres, self.targets))

    def forward(self, embeddings, labels, indices_tuple=None, images=None):
        """Compute the loss of a batch; arguments as in :class:`KPositivesLoss`."""
        if self.training:
            if self.number('epoch') < 0:
                raise RuntimeError(missing(EPOCH, type(self).__name__))
            self._move_centres(embeddings.detach(), labels)
        if self.number('epoch') < self.warmup_epochs:
            return super().forward(embeddings, labels, indices_tuple, images)
        positive = self.draw(labels, indices_tuple, images)
        targets = self.targets[self.target_of].to(embeddings)  # of class 0, 1, ...
        pulls = F.normalize(embeddings) @ targets.T / self.temperature
        logits = cosine_logits_of_others(embeddings, self.temperature)
        log_prob = torch.cat([logits, pulls], 1).log_softmax(1)
        to_images = mean_over_positives(log_prob[:, : len(labels)], positive)
        to_target = -log_prob[:, len(labels) :].gather(1, labels[:, None])[:, 0]
        return (to_images + self.target_weight * to_target).mean()

    @torch.no_grad()
    def _move_centres(self, embeddings: torch.Tensor, labels: torch.Tensor) -> None:
        directions = F.normalize(embeddings).to(self.centres)
        known = self.centres.any(1)
        self.centres.copy_(
            moved_centres(self.centres, known, directions, labels, self.momentum)
        )


def nearest_targets(centres: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the target of each class, (K,), so that the sum of distances is smallest.

    Args:
        centres: Centre of each class, (K, D); 0 if it is not known, as this class may
            have any target.
        targets: (K, D).
    """
    distances = torch.cdist(F.normalize(centres).double(), targets.double())
    distances *= centres.any(1)[:, None]
    _, target_of = linear_sum_assignment(distances.cpu().numpy())
    return torch.from_numpy(target_of).to(centres.device)
