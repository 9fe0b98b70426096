"""Images whose true probabilities are known."""

import numpy as np
from scipy.special import softmax

CLASSES = ('nevus', 'melanoma', 'scar')
PRIOR = (0.7, 0.2, 0.1)
DISTANCE = 1.5


def simulate(random, images, prior=PRIOR, assumed=None):
    """Return true probabilities, (N, K), and labels, (N,), of images of Gaussians.

    With ``assumed`` shares, probabilities are those of a model that believes in these.
    """
    labels = random.choice(len(prior), images, p=prior)
    labels[: len(prior)] = np.arange(len(prior))
    seen = (
        random.normal(size=(images, len(prior))) + DISTANCE * np.eye(len(prior))[labels]
    )
    return softmax(DISTANCE * seen + np.log(assumed or prior), axis=1), labels


def distorted(probabilities, factor=1.0, shift=0.0):
    """Return the probabilities of a model with other logits."""
    return softmax(np.log(probabilities) * factor + shift, axis=1)


def own_groups(number):
    """Return a group for each image."""
    return np.arange(number).astype(str)


def binomial_range(trials, share, error=1e-3):
    """Return how many hits of so many trials are likely."""
    from scipy.stats import binom

    return binom.ppf(error / 2, trials, share), binom.ppf(1 - error / 2, trials, share)
