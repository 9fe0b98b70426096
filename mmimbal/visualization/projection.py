"""Project embeddings to 2D."""

import importlib.util
import warnings

import numpy as np
from sklearn.manifold import TSNE

MAX_IMAGES = 2000  # to draw; more points would hide each other


def project(embeddings: np.ndarray) -> np.ndarray:
    """Project embeddings to 2D, with UMAP if it is installed, else with t-SNE.

    Embeddings with D = 1, fewer than 5 embeddings, and embeddings that have all
    collapsed to one point are not projected.

    Args:
        embeddings: Finite values, (N, D).

    Returns:
        Positions, (N, 2).
    """
    if not np.ptp(embeddings, axis=0).any():
        return np.zeros((len(embeddings), 2))
    if len(embeddings) < 5 or embeddings.shape[1] == 1:
        return np.pad(embeddings, ((0, 0), (0, 2)))[:, :2]
    if method() == 'UMAP':
        from umap import UMAP

        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # UMAP warns that a seed makes it slower
            return UMAP(random_state=0).fit_transform(embeddings)
    perplexity = min(30.0, (len(embeddings) - 1) / 4)
    return TSNE(perplexity=perplexity, random_state=0).fit_transform(embeddings)


def method() -> str:
    """Return the name of the projection method."""
    return 'UMAP' if importlib.util.find_spec('umap') else 't-SNE'


def subset(size: int) -> np.ndarray:
    """Return the indices of the images to draw, the same for all runs."""
    if size <= MAX_IMAGES:
        return np.arange(size)
    return np.sort(np.random.default_rng(0).choice(size, MAX_IMAGES, replace=False))
