"""Splits beside that of 70/10/20: folds, and parts of the training images."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from mmimbal.datasets.rare_classes import FAR, FEWEST_FOR_VALIDATION
from mmimbal.datasets.splits import folds_by_group, split_by_group


def with_calibration(
    labels: np.ndarray,
    groups: Sequence[str],
    splits: Sequence[str],
    share: float,
    seed: int,
    classes: Sequence[str],
) -> tuple[list[str], list[str]]:
    """Move a share of the groups of train to ``cal``; return splits and warnings.

    Training comes first: a class of fewer than five groups gives none, and another
    rare class no more than its share.
    """
    if not 0 < share <= 0.5:
        raise ValueError(f'--calibration {share} must be above 0 and at most 0.5')
    train = np.flatnonzero(np.array(splits) == 'train')
    rough = Fraction(share).limit_denominator(max(10, round(1 / share)))
    own = np.array(groups)[train]
    members = {label: np.unique(own[labels[train] == label]) for label in set(labels)}
    if max(map(len, members.values())) < FEWEST_FOR_VALIDATION:
        raise ValueError(
            f'--calibration needs a class with at least {FEWEST_FOR_VALIDATION} groups '
            'to train on'
        )
    folds = folds_by_group(labels[train], own, rough.denominator, seed)
    moved = {g for fold in folds[: rough.numerator] for g in own[fold == 'test']}
    most = {
        label: round(share * len(own)) if len(own) >= FEWEST_FOR_VALIDATION else 0
        for label, own in members.items()
        if len(own) < 2 * rough.denominator
    }
    for label, number in most.items():
        moved -= set([group for group in members[label] if group in moved][number:])
    moved |= of_classes_without(moved, members, most, share, seed)
    new = np.array(splits, dtype='<U5')
    new[train[np.isin(own, list(moved))]] = 'cal'
    if 'cal' not in new:
        raise ValueError(
            f'--calibration {share:g} moves no group: of each class, that share of its '
            'groups would move, rounded, but groups with images of a class of fewer '
            f'than {FEWEST_FOR_VALIDATION} groups stay in train. Try a larger share'
        )
    warnings = []
    for label, name in enumerate(classes):
        images = new[train[labels[train] == label]]
        found = (images == 'cal').mean() if len(images) else share
        if not found or abs(found - share) > FAR + 1e-9:
            warnings.append(
                f'{name} has {len(members[label])} groups to train on: {found:.1%} of '
                f'its images are in cal, and {share:.1%} were asked for'
            )
    return new.tolist(), warnings


def of_classes_without(
    moved: set[str],
    members: Mapping[int, np.ndarray],
    most: Mapping[int, int],
    share: float,
    seed: int,
) -> set[str]:
    """Return groups to move of classes with enough groups, of which none has moved.

    So it is where groups have images of several classes, and those that were chosen
    had to stay for a rare class.

    Args:
        moved: Groups that have moved.
        members: Groups of each class.
        most: How many groups of each rare class may move.
        share: Share of the groups of a class that should move.
        seed: Seed of the choice.
    """
    random = np.random.default_rng(seed)
    classes_of: dict[str, list[int]] = {}
    for label in most:
        for group in members[label].tolist():
            classes_of.setdefault(group, []).append(label)
    count = {label: len(moved & {*members[label].tolist()}) for label in most}
    found: set[str] = set()
    for own in sorted(members.values(), key=len):
        if len(own) < FEWEST_FOR_VALIDATION or (moved | found) & {*own.tolist()}:
            continue
        for group in random.permutation(own).tolist():
            if len(found & {*own.tolist()}) == round(share * len(own)):
                break
            limited = classes_of.get(group, [])
            if all(count[label] < most[label] for label in limited):
                found.add(group)
                for label in limited:
                    count[label] += 1
    return found


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
        f'there were no validation images: {(new == "val").sum()} images of '
        'train are val now, without groups in both'
    ]


def describe_rare(
    labels: np.ndarray,
    groups: Sequence[str],
    folds: Sequence[np.ndarray],
    classes: Sequence[str],
    keep_test: bool,
) -> list[str]:
    """Describe classes with fewer groups than folds: in some, nothing is measured."""
    split, verb = ('val', 'validated') if keep_test else ('test', 'tested')
    sentences = []
    for label, name in enumerate(classes):
        own = labels == label
        number = len(set(np.array(groups)[own]))
        found = sum((fold[own] == split).any() for fold in folds)
        if 0 < number < len(folds):
            sentences.append(
                f'{name} has {number} group{"s" if number > 1 else ""}: it is {verb} '
                f'in {found} of {len(folds)} folds'
            )
    return sentences


def check_folds(folds: Sequence[np.ndarray]) -> None:
    """Raise a ValueError if a fold has no images to validate or to test on."""
    for number, fold in enumerate(folds):
        for split in ('val', 'test'):
            if split not in fold:
                how = 'Use fewer folds' if len(folds) > 2 else 'Leave out --folds'
                raise ValueError(
                    f'--folds {len(folds)}: fold{number} would have no {split} images, '
                    f'as there are too few groups. {how}'
                )
