"""Contrastive learning with a distribution of each class in place of its images."""

import torch
import torch.nn.functional as F

from mmimbal.models.losses.bessel import log_bessel
from mmimbal.models.losses.by_class import count_labels
from mmimbal.models.losses.class_counts_loss import UsesClassCounts, cross_entropy
from mmimbal.models.losses.known_numbers import KnownNumbers
from mmimbal.models.losses.logit_adjustment import log_prior
from mmimbal.models.losses.pairs import refuse_miner
from mmimbal.models.needs import CLASS_COUNTS, EPOCH, missing
from mmimbal.registry import MODELS


@MODELS.register_module()
class ProCoLoss(UsesClassCounts, KnownNumbers):
    """Probabilistic contrastive loss (ProCo, https://arxiv.org/abs/2403.06726).

    The embeddings of each class are taken to follow a von Mises-Fisher distribution,
    with a mean direction and a concentration that are estimated from all images of the
    last epoch; in the first epoch, and for a class without images in the last one, from
    those of this epoch so far. The loss is the expectation of a contrastive loss of
    infinitely many images of these distributions, in closed form, so that rare classes
    have as many partners as common ones. No second view is needed.

    Args:
        num_classes: Number of classes, K, at least 2.
        embedding_size: Size D of the embeddings, at least 2.
        temperature: Divisor of the cosine similarities, > 0.
        max_concentration: Largest concentration, > 0. The estimate is infinite for a
            class with one image.

    Raises:
        ValueError: If an option is outside its range, or there is a miner.
        RuntimeError: Without ``mmimbal.ClassCountsHook``, or in training without
            ``mmimbal.SetEpochHook``.
    """

    needs = (CLASS_COUNTS, EPOCH)
    takes_miner = False

    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        temperature: float = 0.1,
        max_concentration: float = 1e4,
    ) -> None:
        super().__init__()
        if num_classes < 2 or embedding_size < 2:
            raise ValueError(
                f'num_classes={num_classes} and embedding_size={embedding_size} must '
                'be at least 2'
            )
        if temperature <= 0 or max_concentration <= 0:
            raise ValueError(
                f'temperature={temperature} and max_concentration={max_concentration} '
                'must be positive'
            )
        self.temperature = temperature
        self.max_concentration = max_concentration
        for name in ('', 'last_'):
            self.register_buffer(
                f'{name}sums', torch.zeros(num_classes, embedding_size)
            )
            self.register_buffer(f'{name}seen', torch.zeros(num_classes))
        self.register_buffer('epoch', torch.tensor(-1))

    def set_epoch(self, epoch: int) -> None:
        """Begin a new estimate, if an epoch begins; it is counted from 0."""
        if epoch != self.number('epoch'):
            self.set_number('epoch', epoch)
            has_new = self.seen > 0
            self.last_sums[has_new] = self.sums[has_new]
            self.last_seen[has_new] = self.seen[has_new]
            self.sums.zero_()
            self.seen.zero_()

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        indices_tuple: tuple | None = None,
    ) -> torch.Tensor:
        """Compute the loss of a batch. In training, first add it to the estimate.

        Args:
            embeddings: (B, D); they are normalized here.
            labels: (B,), in 0..K-1.
            indices_tuple: Must be ``None``: this loss takes no miner.
        """
        refuse_miner(self, indices_tuple)
        directions = F.normalize(embeddings)
        if self.training:
            self._add(directions.detach(), labels)
        means, concentrations = self.estimates()
        prior = log_prior(self.counts_on(directions.device)).to(directions)
        return expected_contrastive(
            directions, labels, means, concentrations, prior, self.temperature
        ).mean()

    def estimates(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean directions, (K, D), and concentrations, (K,); 0 if unknown."""
        known = self.last_seen > 0
        sums = torch.where(known[:, None], self.last_sums, self.sums)
        seen = torch.where(known, self.last_seen, self.seen)
        return estimate(sums, seen, self.max_concentration)

    @torch.no_grad()
    def _add(self, directions: torch.Tensor, labels: torch.Tensor) -> None:
        if self.number('epoch') < 0:
            raise RuntimeError(missing(EPOCH, type(self).__name__))
        self.sums.index_add_(0, labels, directions.to(self.sums))
        self.seen += count_labels(labels, len(self.seen))


def estimate(
    sums: torch.Tensor, seen: torch.Tensor, max_concentration: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Estimate von Mises-Fisher distributions (Sra, 2012).

    Args:
        sums: Sum of the unit vectors of each class, (K, D).
        seen: Number of vectors of each class, (K,).
        max_concentration: Upper bound of the concentrations.

    Returns:
        Mean directions, (K, D), and concentrations, (K,), both 0 for a class without
        vectors.
    """
    length = (sums.norm(dim=1) / seen.clamp(min=1)).double()
    spread = (1 - length**2).clamp(min=1e-12)
    concentrations = length * (sums.shape[1] - length**2) / spread
    concentrations = concentrations.clamp(max=max_concentration)
    return F.normalize(sums), concentrations.to(sums)


def expected_contrastive(
    directions: torch.Tensor,
    labels: torch.Tensor,
    means: torch.Tensor,
    concentrations: torch.Tensor,
    prior: torch.Tensor,
    temperature: float,
) -> torch.Tensor:
    """Compute the expected contrastive loss of each image, (B,).

    Cross-entropy of ``log prior + log C(k) - log C(|k m + z / temperature|)``, with the
    normalizer C of a distribution of mean m and concentration k: the logarithm of the
    mean of ``exp(z v / temperature)`` over vectors v of a class.

    Args:
        directions: Unit vectors z, (B, D).
        labels: (B,).
        means: Mean directions, (K, D).
        concentrations: (K,), >= 0.
        prior: Logarithm of the share of each class, (K,).
        temperature: Divisor of the cosine similarities.
    """
    k = concentrations.double()
    order = means.shape[1] / 2 - 1
    along = directions.double() @ means.double().T / temperature
    moved = (k**2 + 2 * k * along + temperature**-2).clamp(min=0)
    together = log_bessel(torch.cat([moved, k[None] ** 2]), order)
    logits = together[:-1] - together[-1:] + prior.double()
    return cross_entropy(logits, labels).to(directions)
