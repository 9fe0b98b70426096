"""How often the nearest images have the same class."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from torch.nn.functional import normalize

BATCH = 256
SAME = 1e-6  # largest difference of unit vectors that are rounded differently


@dataclass(frozen=True)
class Retrieval:
    """Retrieval of images of the same class, by class.

    Attributes:
        recall_at_1: Share of images whose nearest image has their class, (K,).
        map_at_r: Mean average precision at R, the number of other images of the class,
            (K,).

    Both are NaN for a class with fewer than two images, and for all classes if the
    embeddings have collapsed to one direction.
    """

    recall_at_1: np.ndarray
    map_at_r: np.ndarray


def retrieve(
    embeddings: np.ndarray, labels: np.ndarray, groups: np.ndarray, classes: int
) -> Retrieval:
    """Search each image among the others, by cosine (Musgrave et al., 2020).

    Of each group, the first image of a class alone is used, and those of its other
    classes are not searched: another photo of the same lesion would be found too
    easily. Images that are equally near are in random order.

    Args:
        embeddings: Outputs of backbone and neck, (N, D).
        labels: Class of each image, (N,).
        groups: Group of each image, (N,).
        classes: Number of classes, K.
    """
    names = np.unique(groups, return_inverse=True)[1]
    _, first = np.unique(names * classes + labels, return_index=True)
    first = np.random.default_rng(0).permutation(np.sort(first))
    counts = np.bincount(labels[first], minlength=classes)
    recall, precision = np.full((2, classes), np.nan)
    if (counts > 1).any() and not have_collapsed(embeddings[first]):
        calculator = AccuracyCalculator(
            include=('precision_at_1', 'mean_average_precision_at_r'),
            k='max_bin_count',
            return_per_class=True,
            device=torch.device('cpu'),
            knn_func=partial(nearest_of_other_groups, torch.from_numpy(names[first])),
        )
        found = calculator.get_accuracy(
            torch.from_numpy(embeddings[first]).float(),
            torch.from_numpy(labels[first]),
        )
        recall[counts > 1] = found['precision_at_1']
        precision[counts > 1] = found['mean_average_precision_at_r']
    return Retrieval(recall, precision)


def nearest_of_other_groups(
    groups: torch.Tensor,
    query: torch.Tensor,
    k: int,
    reference: torch.Tensor,
    ref_includes_query: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Search images by cosine, as a ``knn_func`` of pytorch-metric-learning.

    Args:
        groups: Group of each image, (N,).
        query: Embeddings of the images, (N, D).
        k: Number of images to find for each.
        reference: The same images.
        ref_includes_query: Always true. An image is in its own group, so it is not
            found.

    Returns:
        Cosines and indices of the nearest images, (N, k) each.
    """
    units = normalize(query)
    found = []
    for rows in torch.arange(len(query)).split(BATCH):
        cosines = units[rows] @ units.T
        found.append(
            cosines.masked_fill_(groups[rows, None] == groups, -torch.inf).topk(k)
        )
    cosines, indices = zip(*found, strict=True)
    return torch.cat(cosines), torch.cat(indices)


def have_collapsed(embeddings: np.ndarray) -> bool:
    """Return whether all embeddings, (N, D), that are not 0 have one direction."""
    number, bounds = 0, []
    for start in range(0, len(embeddings), BATCH):
        part = embeddings[start : start + BATCH].astype(float)
        part = part[part.any(1)]
        if len(part):
            units = part / np.linalg.norm(part, axis=1, keepdims=True)
            bounds += [units.min(0), units.max(0)]
            number += len(part)
    return number < 2 or np.ptp(bounds, axis=0).max() < SAME
