"""Splits that are stratified by class and never divide a group."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold

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
    Fold k tests on the parts 2k and 2k + 1 and validates on the next part.

    Args:
        labels: Class of each image, (N,).
        groups: Group of each image (a lesion, a patient), (N,).
        folds: Number of folds, at least 2.
        seed: Seed of the shuffle.

    Returns:
        For each fold the split of each image, ``'train'``, ``'val'`` or ``'test'``,
        (N,).

    Raises:
        ValueError: If there are fewer than two folds, fewer groups than parts, or
            fewer images than parts in every class.
    """
    if folds < 2:
        raise ValueError(f'{folds} folds are too few: use at least 2')
    parts = 2 * folds
    if len(set(groups)) < parts:
        raise ValueError(
            f'{len(set(groups))} groups cannot be split into {parts} parts: give the '
            'index a split column instead'
        )
    if max(Counter(labels).values()) < parts:
        raise ValueError(
            f'every class has fewer than {parts} images, too few to split: give the '
            'index a split column instead'
        )
    # The shuffle=True of scikit-learn before 1.8 mixed up the classes of the groups.
    # This shuffle is that of 1.8 and later.
    names, codes = np.unique(groups, return_inverse=True)
    order = np.random.RandomState(seed).permutation(len(names))
    shuffled = np.argsort(order)[codes]
    splitter = StratifiedGroupKFold(parts)
    held_out = [indices for _, indices in splitter.split(labels, labels, shuffled)]
    splits = []
    for fold in range(folds):
        split = np.full(len(labels), 'train', dtype='<U5')
        split[np.concatenate(held_out[2 * fold : 2 * fold + 2])] = 'test'
        split[held_out[(2 * fold + 2) % parts]] = 'val'
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


def check_groups(groups: Sequence[str], splits: Sequence[str]) -> None:
    """Check that no group is in two splits.

    Raises:
        ValueError: If a group is; the message names the first one.
    """
    straddling = straddling_groups(groups, splits)
    for first, names in straddling.items():
        raise ValueError(
            f'{len(straddling)} groups are in more than one split, which makes test '
            f'results invalid: the first, {first}, is in {" and ".join(names)}'
        )
