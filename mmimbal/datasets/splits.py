"""Splits that are stratified by class and never divide a group."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mmimbal.datasets.rare_classes import (
    UNDECIDED,
    folds_of_rare_groups,
    give_validation,
)

FOLDS = 5  # 70/10/20


def split_by_group(
    labels: Sequence[int], groups: Sequence[str], seed: int = 0
) -> np.ndarray:
    """Split images 70/10/20: the first of five folds; see :func:`folds_by_group`."""
    return folds_by_group(labels, groups, FOLDS, seed)[0]


def folds_by_group(
    labels: Sequence[int], groups: Sequence[str], folds: int, seed: int = 0
) -> list[np.ndarray]:
    """Split images for cross-validation: each image is in test in one fold.

    :class:`sklearn.model_selection.StratifiedGroupKFold` makes ``2 * folds`` parts.
    Fold k tests on the parts 2k and 2k + 1 and validates on the next part. Groups of
    rare classes, of fewer groups than parts, are dealt out first; see
    :mod:`mmimbal.datasets.rare_classes`. The only group of a class is always in train.

    Args:
        labels: Class of each image, (N,).
        groups: Group of each image (a lesion, a patient), (N,).
        folds: Number of folds, at least 2.
        seed: Seed of the shuffle.

    Returns:
        For each fold the split of each image, ``'train'``, ``'val'`` or ``'test'``,
        (N,).

    Raises:
        ValueError: If there are fewer than two folds, or every class has one group.
    """
    if folds < 2:
        raise ValueError(f'{folds} folds are too few: use at least 2')
    labels = np.asarray(labels)
    names, codes = np.unique(groups, return_inverse=True)
    # The shuffle=True of scikit-learn before 1.8 mixed up the classes of the groups.
    # This shuffle is that of 1.8 and later.
    order = np.random.RandomState(seed).permutation(len(names))
    shuffled = np.argsort(order)[codes]
    test_fold, val_fold = folds_of_rare_groups(labels, shuffled, folds)
    rest = np.flatnonzero(test_fold[shuffled] == UNDECIDED)
    if len(rest):
        # Imported here: it takes a second, and training makes no splits.
        from sklearn.model_selection import StratifiedGroupKFold

        splitter = StratifiedGroupKFold(2 * folds)
        parts = [
            rest[chosen]
            for _, chosen in splitter.split(rest, labels[rest], shuffled[rest])
        ]
        for part, images in enumerate(parts):
            test_fold[shuffled[images]] = part // 2
            if part % 2 == 0:
                val_fold[shuffled[images]] = (part // 2 - 1) % folds
    give_validation(labels, shuffled, test_fold, val_fold, folds)
    splits = []
    for fold in range(folds):
        split = np.full(len(labels), 'train', dtype='<U5')
        split[val_fold[shuffled] == fold] = 'val'
        split[test_fold[shuffled] == fold] = 'test'
        splits.append(split)
    return splits


def join_groups(groups: Sequence[str], contents: Sequence[str]) -> list[str]:
    """Join groups that share an image.

    Args:
        groups: Group of each image, (N,).
        contents: Hash of each image, (N,).

    Returns:
        Group of each image, (N,). A joined group has the first name in sorted order.
    """
    names, group = np.unique(groups, return_inverse=True)
    content = len(names) + np.unique(contents, return_inverse=True)[1]
    size = content.max() + 1
    links = coo_array((np.ones(len(group)), (group, content)), (size, size))
    _, parts = connected_components(links, directed=False)
    first: dict[int, str] = {}
    for name, part in zip(names.tolist(), parts, strict=False):
        first.setdefault(part, name)
    return [first[part] for part in parts[group]]


def content_hash(content: bytes, name: str) -> str:
    """Return a hash of the content of an image; empty files are no one image.

    Args:
        content: The bytes of its file, or its pixels.
        name: Its name, which an empty file has in place of a content.
    """
    return hashlib.blake2b(content or name.encode(), digest_size=16).hexdigest()


def straddling_groups(
    groups: Sequence[str], splits: Sequence[str]
) -> dict[str, list[str]]:
    """Return the groups in more than one split, with these splits, both sorted."""
    images = pa.table({'group': groups, 'split': splits})
    pairs = images.group_by(['group', 'split']).aggregate([])
    counts = pc.value_counts(pairs['group'])
    several = counts.filter(pc.greater(counts.field('counts'), 1)).field('values')
    rows = pairs.filter(pc.is_in(pairs['group'], several)).sort_by(
        [('group', 'ascending'), ('split', 'ascending')]
    )
    straddling: dict[str, list[str]] = {}
    for group, split in zip(*rows.to_pydict().values(), strict=True):
        straddling.setdefault(group, []).append(split)
    return straddling


def check_groups(
    groups: Sequence[str], splits: Sequence[str], advice: str = ''
) -> None:
    """Check that no group is in two splits.

    Args:
        groups: Group of each image, (N,).
        splits: Split of each image, (N,).
        advice: End of the message.

    Raises:
        ValueError: If a group is; the message names the first one.
    """
    straddling = straddling_groups(groups, splits)
    for first, names in straddling.items():
        raise ValueError(
            f'{len(straddling)} groups are in more than one split, which makes test '
            f'results invalid: the first, {first}, is in {" and ".join(names)}{advice}'
        )
