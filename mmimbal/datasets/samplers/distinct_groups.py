"""Rows of distinct images of one class, of distinct groups where possible."""

import math
from collections.abc import Sized

import numpy as np

from mmimbal.datasets.labels_and_groups import cumcount, read_through_wrappers
from mmimbal.datasets.samplers.permutations import EndlessSequence


def get_image_numbers(dataset: Sized) -> np.ndarray:
    """Return a number for each index of a dataset, (N,), the same for copies.

    ``ClassBalancedDataset`` and ``Subset`` may hold an image several times.
    """
    first: dict[int, int] = {}  # of each data set that is not a wrapper
    total = 0

    def read(part: Sized) -> np.ndarray:
        nonlocal total
        if id(part) not in first:
            first[id(part)] = total
            total += len(part)
        return first[id(part)] + np.arange(len(part))

    return read_through_wrappers(dataset, read)


def endless_rows(
    images: np.ndarray, groups: np.ndarray, k: int, seed: tuple[int, ...]
) -> EndlessSequence:
    """Return an endless sequence of rows of ``k`` images, from different groups.

    Args:
        images: Dataset indices of a class, (N,).
        groups: Group of each image, (N,), numbered from 0.
        k: Images in a row.
        seed: Seed of the sequence.

    Returns:
        Rows, (k,). ``ceil(N / k)`` rows hold every image.
    """
    rows = math.ceil(len(images) / k)
    return EndlessSequence(rows, lambda random: images[deal(groups, k, random)], seed)


def deal(groups: np.ndarray, k: int, random: np.random.Generator) -> np.ndarray:
    """Deal images into rows of ``k``, images of one group into different rows.

    Images are sorted by group and dealt to the rows in turn, like cards. A group of n
    images then lies in n rows, or in all rows. If ``k`` does not divide N, some images
    are dealt again, of groups that then still lie in different rows: first one image
    per group, of small groups first.

    Args:
        groups: Group of each image, (N,), numbered from 0.
        k: Images in a row.
        random: Generator of the order.

    Returns:
        Indices of images, (ceil(N / k), k). Each of ``range(N)`` occurs at least once.
    """
    size, rows = len(groups), math.ceil(len(groups) / k)
    shuffled = random.permutation(size)
    spare = shuffled[dealt_again(groups[shuffled], rows, rows * k - size)]
    images = np.concatenate([shuffled, spare])
    order = random.permutation(groups.max() + 1)[groups[images]]
    dealt = images[np.argsort(order, kind='stable')]
    return random.permutation(dealt.reshape(k, rows).T)


def dealt_again(groups: np.ndarray, rows: int, number: int) -> np.ndarray:
    """Choose images of groups that have fewer images than there are rows.

    If these are too few, all groups follow, in the same order.

    Args:
        groups: Group of each image, (N,), numbered from 0.
        rows: Number of rows, to which a group may give one image each.
        number: How many to choose; fewer than N.

    Returns:
        Their places in ``groups``, (number,).
    """
    sizes, places = np.bincount(groups)[groups], cumcount(groups)
    found: list[int] = []
    for turn in range(number):  # one image of each group that has room
        fits = np.flatnonzero((places == turn % sizes) & (turn < rows - sizes))
        found += fits[np.argsort(sizes[fits], kind='stable')][:number].tolist()
        if len(found) >= number or not len(fits):
            break
    if len(found) < number:
        found += np.lexsort((sizes, places))[:number].tolist()
    return np.resize(np.array(found, int), number)
