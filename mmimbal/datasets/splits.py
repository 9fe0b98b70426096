"""Splits that are stratified by class and never divide a group."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

FOLDS = 10
FOLDS_OF = {'test': (0, 1), 'val': (2,)}


def split_by_group(
    labels: Sequence[int], groups: Sequence[str], seed: int = 0
) -> np.ndarray:
    """Split images 70/10/20 into train, val and test.

    Ten folds of :class:`sklearn.model_selection.StratifiedGroupKFold`, two of them
    for test and one for validation.

    Args:
        labels: Class of each image, (N,).
        groups: Group of each image (lesion, patient, ...), (N,).
        seed: Of the shuffle.

    Returns:
        ``'train'``, ``'val'`` or ``'test'`` for each image, (N,).

    Raises:
        ValueError: If there are fewer than ten groups, or images of every class.
    """
    if len(set(groups)) < FOLDS:
        raise ValueError(
            f'{len(set(groups))} groups cannot be split into {FOLDS} folds; give the '
            'images a split column instead'
        )
    if max(Counter(labels).values()) < FOLDS:
        raise ValueError(
            f'every class has fewer than {FOLDS} images, too few to split; give the '
            'images a split column instead'
        )
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    parts = [held for _, held in folds.split(labels, labels, groups)]
    split = np.full(len(labels), 'train', dtype='<U5')
    for name, numbers in FOLDS_OF.items():
        split[np.concatenate([parts[number] for number in numbers])] = name
    return split


def check_groups(groups: Sequence[str], splits: Sequence[str]) -> None:
    """Check that no group is in two splits.

    Raises:
        ValueError: If one is; the message names the first.
    """
    seen: dict[str, str] = {}
    straddling = {
        group
        for group, split in zip(groups, splits, strict=True)
        if seen.setdefault(group, split) != split
    }
    if straddling:
        first = min(straddling)
        found = {s for g, s in zip(groups, splits, strict=True) if g == first}
        raise ValueError(
            f'{len(straddling)} groups are in more than one split, so that the test '
            f'would leak: the first, {first}, is in {" and ".join(sorted(found))}'
        )
