"""Cross-entropy with a bound that takes the training prior out of the logits."""

import math

import torch

from mmimbal.models.losses.class_counts_loss import cross_entropy
from mmimbal.models.losses.gather import gather_embeddings, gather_without_gradient
from mmimbal.models.losses.logit_adjustment import LogitAdjustmentLoss, log_prior
from mmimbal.registry import MODELS


@MODELS.register_module()
class LADELoss(LogitAdjustmentLoss):
    """Label distribution disentangling loss (LADE, https://arxiv.org/abs/2012.00321).

    Logit-adjusted cross-entropy, plus ``alpha`` times a regularizer that moves the
    logit of each class towards ``log p(x | class) / p(x)`` of balanced classes:
    :func:`lade_regularizer`. Under DDP it sees the images of all ranks.

    Args:
        alpha: Weight of the regularizer, >= 0.
        penalty: Weight of the squared logarithm within it, >= 0.

    Raises:
        ValueError: If an option is negative.
    """

    gathers = True  # logits of all ranks
    takes_mixtures = False

    def __init__(self, alpha: float = 0.1, penalty: float = 0.1) -> None:
        super().__init__(tau=1.0)
        if alpha < 0 or penalty < 0:
            raise ValueError(
                f'alpha={alpha} and penalty={penalty} must not be negative'
            )
        self.alpha = alpha
        self.penalty = penalty

    def losses(self, logits, labels, counts):
        """Compute the loss of each image."""
        prior = log_prior(counts).to(logits)
        losses = cross_entropy(logits + prior, labels)
        regularizer = lade_regularizer(
            gather_embeddings(logits),
            gather_without_gradient(labels),
            prior,
            self.penalty,
        )
        return losses + self.alpha * regularizer


def lade_regularizer(
    logits: torch.Tensor, labels: torch.Tensor, prior: torch.Tensor, penalty: float
) -> torch.Tensor:
    """Compute the regularized Donsker-Varadhan bound of each class, with its sign.

    For each class of the batch: the logarithm of the mean of ``exp(logit)`` over all
    images, weighted as if classes were balanced, plus its square times the penalty,
    less the mean logit of the images of the class. Classes are weighted by the prior.

    Args:
        logits: (N, K).
        labels: (N,).
        prior: Logarithm of the share of each class, (K,).
        penalty: Weight of the square, >= 0.

    Returns:
        A scalar.
    """
    classes, of_class = labels.unique(return_inverse=True)
    # Images are weighted by the share of *their* class, whatever the logit.
    log_weights = -prior[labels] - math.log(logits.shape[1])
    own = logits[:, classes]
    log_mean = (own + log_weights[:, None]).logsumexp(0) - math.log(len(logits))
    sums = own.new_zeros(len(classes)).index_add(
        0, of_class, own.gather(1, of_class[:, None])[:, 0]
    )
    means = sums / torch.bincount(of_class)
    bounds = log_mean + penalty * log_mean.square() - means
    return (prior[classes].exp() * bounds).sum()
