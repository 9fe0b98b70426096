"""Splits beside that of 70/10/20: folds, and parts of the training images."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from mmimbal.datasets.rare_classes import FEWEST_FOR_VALIDATION
from mmimbal.datasets.splits import folds_by_group, split_by_group


def with_calibration(
    labels: np.ndarray,
    groups: Sequence[str],
    splits: Sequence[str],
    share: float,
    seed: int,
) -> list[str]:
    """Move a share of the groups of train to ``cal``."""
    if not 0 < share <= 0.5:
        raise ValueError(f'--calibration {share} must be above 0 and at most 0.5')
    train = np.flatnonzero(np.array(splits) == 'train')
    rough = Fraction(share).limit_denominator(max(10, round(1 / share)))
    own = np.array(groups)[train]
    folds = folds_by_group(labels[train], own, rough.denominator, seed)
    new = np.array(splits, dtype='<U5')
    for fold in folds[: rough.numerator]:
        new[train[fold == 'test']] = 'cal'
    return new.tolist()


def folds_beside_test(
    labels: np.ndarray,
    groups: Sequence[str],
    splits: Sequence[str],
    folds: int,
    seed: int,
) -> list[np.ndarray]:
    """Return folds of the images that are not in test; each validates on one part."""
    apart = np.isin(splits, ('test', 'cal'))
    rest = np.flatnonzero(~apart)
    parts = folds_by_group(labels[rest], np.array(groups)[rest], folds, seed)
    made = []
    for part in parts:
        fold = np.array(splits, dtype='<U5')
        fold[rest] = np.where(part == 'test', 'val', 'train')
        made.append(fold)
    return made


def with_validation(
    labels: np.ndarray, groups: Sequence[str], splits: Sequence[str], seed: int
) -> tuple[list[str], list[str]]:
    """Move a tenth of the groups of train to val; return splits and warnings.

    Nothing moves if no class has enough groups.
    """
    train = np.flatnonzero(np.array(splits) == 'train')
    own = np.array(groups)[train]
    new = np.array(splits, dtype='<U5')
    if any(
        len(set(own[labels[train] == label])) >= FEWEST_FOR_VALIDATION
        for label in set(labels[train])
    ):
        made = split_by_group(labels[train], own, seed)
        new[train[made == 'val']] = 'val'
    if 'val' not in new:
        return new.tolist(), []
    return new.tolist(), [
        f'the download has no validation images: {(new == "val").sum()} images of '
        'train are val now, without groups in both'
    ]


def check_folds(folds: Sequence[np.ndarray]) -> None:
    """Raise a ValueError if a fold has no images to validate or to test on."""
    for number, fold in enumerate(folds):
        for split in ('val', 'test'):
            if split not in fold:
                raise ValueError(
                    f'--folds {len(folds)}: fold{number} would have no {split} images, '
                    'as there are too few groups. Use fewer folds'
                )
