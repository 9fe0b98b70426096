"""Check the images that decisions are fitted on, and draw one of each group.

Calibration images are neither training images nor test images. In all functions that
fit, ``probabilities``, ``labels`` and ``groups`` are those of calibration images alone.
"""

from collections.abc import Sequence

import numpy as np

from mmimbal.evaluation.metrics import (
    check_probabilities,
    check_scores,
    checked_labels,
)


def checked_images(
    probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return checked probabilities as float64, (N, K), and labels as integers, (N,).

    Args:
        probabilities: Probabilities of N images, (N, K).
        labels: True class of each image, (N,).
        classes: K class names.

    Raises:
        ValueError: If there are no images or fewer than two classes, a class name
            occurs twice, a row is not finite or no probabilities, or a label is
            not one of 0..K-1.
    """
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise ValueError(f'expected two or more different classes, got {classes}')
    probabilities = np.asarray(probabilities, float)
    labels = checked_labels(labels, classes)
    check_scores(probabilities, len(labels), len(classes))
    check_probabilities(probabilities)
    return probabilities, labels


def group_numbers(groups: Sequence[str], images: int) -> np.ndarray:
    """Return the number of the group of each image, (N,), in 0..G-1.

    Args:
        groups: Name or number of the group of each image, (N,).
        images: Number of images, N.

    Raises:
        ValueError: If there are more or fewer groups than images, one is '', or they
            are neither text nor integers.
    """
    groups = np.asarray(groups)
    if groups.shape != (images,):
        raise ValueError(f'groups have shape {groups.shape} for {images} images')
    if groups.dtype.kind not in 'Uiu':
        raise ValueError(f'groups must be text or integers, got {groups.dtype}')
    if groups.dtype.kind == 'U' and (groups == '').any():
        raise ValueError(f'image {(groups == "").argmax()} has no group')
    return np.unique(groups, return_inverse=True)[1]


def class_shares(labels: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Return the share of each class among the images, (K,), all above 0.

    Raises:
        ValueError: If a class has no image; the message names it.
    """
    counts = np.bincount(labels, minlength=len(classes))
    missing = [name for name, n in zip(classes, counts, strict=True) if not n]
    if missing:
        raise ValueError(
            f'no calibration image of {", ".join(missing)}: probabilities of a class '
            'cannot be calibrated without images of it. Use calibration images of all '
            'classes'
        )
    return counts / counts.sum()


def check_share(name: str, value: float) -> None:
    """Raise a ValueError if a value is not between 0 and 1, both excluded."""
    if not 0 < value < 1:
        raise ValueError(f'{name} must be between 0 and 1, both excluded, got {value}')


def draw_one_of_each_group(
    groups: np.ndarray, labels: np.ndarray, seed: int
) -> np.ndarray:
    """Return the indices of one image of each group in each class, sorted.

    Images of a group are not independent; one of each group are. A group that has
    images of several classes (a patient) gives one image to each of them, so that a
    rare class loses none of its groups.

    Args:
        groups: Group of each image, (N,).
        labels: True class of each image, (N,).
        seed: Seed of the draw.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    pairs = np.stack([groups[order], labels[order]])
    return np.sort(order[np.unique(pairs, axis=1, return_index=True)[1]])


def are_no_better_than_chance(logits: np.ndarray, labels: np.ndarray) -> bool:
    """Return whether factor 0 of all logits has the lowest cross-entropy.

    Args:
        logits: Log-probabilities, (N, K).
        labels: True class of each image, (N,).
    """
    true = logits[np.arange(len(labels)), labels]
    slope = (true - logits.mean(1)).sum()  # at 0; the cross-entropy is convex
    return bool(slope <= 1e-9 * len(labels))


def are_all_right(logits: np.ndarray, labels: np.ndarray) -> bool:
    """Return whether all images are classified correctly: no factor is too high.

    Arguments are those of :func:`are_no_better_than_chance`.
    """
    return bool((logits[np.arange(len(labels)), labels] == logits.max(1)).all())
