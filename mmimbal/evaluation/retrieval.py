"""How often the nearest images have the same class."""

from dataclasses import dataclass

import numpy as np
import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN

BATCH = 256


@dataclass(frozen=True)
class Retrieval:
    """Retrieval of images of the same class, by class.

    Attributes:
        recall_at_1: Share of images whose nearest image has their class, (K,).
        map_at_r: Mean average precision at R, the number of other images of the class,
            (K,).

    Both are NaN for a class with fewer than two images, and for all classes if the
    embeddings have collapsed to one point.
    """

    recall_at_1: np.ndarray
    map_at_r: np.ndarray


def retrieve(
    embeddings: np.ndarray, labels: np.ndarray, groups: np.ndarray, classes: int
) -> Retrieval:
    """Search each image among the others, by cosine (Musgrave et al., 2020).

    Of each group, the first image alone is used: another photo of the same lesion
    would be found too easily.

    Args:
        embeddings: Outputs of backbone and neck, (N, D).
        labels: Class of each image, (N,).
        groups: Group of each image, (N,).
        classes: Number of classes, K.
    """
    _, first = np.unique(groups, return_index=True)
    first.sort()
    counts = np.bincount(labels[first], minlength=classes)
    recall, precision = np.full((2, classes), np.nan)
    if (counts > 1).any() and np.ptp(embeddings[first], axis=0).any():
        calculator = AccuracyCalculator(
            include=('precision_at_1', 'mean_average_precision_at_r'),
            k='max_bin_count',
            return_per_class=True,
            device=torch.device('cpu'),
            knn_func=CustomKNN(CosineSimilarity(), batch_size=BATCH),
        )
        found = calculator.get_accuracy(
            torch.from_numpy(embeddings[first]).float(),
            torch.from_numpy(labels[first]),
        )
        recall[counts > 1] = found['precision_at_1']
        precision[counts > 1] = found['mean_average_precision_at_r']
    return Retrieval(recall, precision)
