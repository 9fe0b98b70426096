"""Embeddings in the plane."""

import importlib.util
import warnings

import numpy as np
from sklearn.manifold import TSNE

MAX_IMAGES = 2000  # drawn; more would hide each other


def project(embeddings: np.ndarray) -> np.ndarray:
    """Return places in the plane: by UMAP if it is installed, else by t-SNE.

    Embeddings of one number each, or that have all collapsed to one point, stay there.

    Args:
        embeddings: (N, D), finite.

    Returns:
        (N, 2).
    """
    if not np.ptp(embeddings, axis=0).any():
        return np.zeros((len(embeddings), 2))
    if len(embeddings) < 5 or embeddings.shape[1] == 1:
        return np.pad(embeddings, ((0, 0), (0, 2)))[:, :2]
    if method() == 'UMAP':
        from umap import UMAP

        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # that a seed makes it slower
            return UMAP(random_state=0).fit_transform(embeddings)
    perplexity = min(30.0, (len(embeddings) - 1) / 4)
    return TSNE(perplexity=perplexity, random_state=0).fit_transform(embeddings)


def method() -> str:
    """Return the name of the method that is used."""
    return 'UMAP' if importlib.util.find_spec('umap') else 't-SNE'


def subset(size: int) -> np.ndarray:
    """Return which images to draw, the same for all runs."""
    if size <= MAX_IMAGES:
        return np.arange(size)
    return np.sort(np.random.default_rng(0).choice(size, MAX_IMAGES, replace=False))
