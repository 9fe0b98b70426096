"""Splits of classes with too few groups for a stratified split.

Training comes first: a class of two groups has one in train and one in test, and none
in validation; with five groups and more, one is in validation. The only group of a
class is always in train: such a class cannot be tested.
"""

import numpy as np

FEWEST_FOR_VALIDATION = 5  # groups
SHARES = dict(train=0.7, val=0.1, test=0.2)
FAR = 0.1
UNDECIDED, NEVER = -2, -1


def folds_of_rare_groups(
    labels: np.ndarray, groups: np.ndarray, folds: int
) -> tuple[np.ndarray, np.ndarray]:
    """Deal out the groups of rare classes to the folds that test on them.

    A class is rare if it has fewer groups than ``2 * folds``, without those of rarer
    classes. Classes with the fewest groups come first. The largest group of a class is
    tested in the last of its folds: in the first fold, which is also the split of
    70/10/20, it is in train.

    Args:
        labels: Class of each image, (N,).
        groups: Group of each image, 0..G-1 in the order to deal them out, (N,).
        folds: Number of folds.

    Returns:
        For each group the fold in whose test it is, and the fold in whose validation it
        is, (G,) each: ``NEVER`` for none, and ``UNDECIDED`` for groups without a rare
        class.

    Raises:
        ValueError: If every class has one group.
    """
    count = groups.max() + 1
    test = np.full(count, UNDECIDED)
    val = np.full(count, UNDECIDED)
    members = {label: np.unique(groups[labels == label]) for label in set(labels)}
    sizes = sorted(members, key=lambda label: (len(members[label]), label))
    if len(members[sizes[-1]]) == 1:
        raise ValueError(
            f'each of the {len(members)} classes has one group, so that nothing can be '
            'tested: give the images finer groups, or a split of your own'
        )

    def deal(label: int, at_least: int) -> None:
        own = members[label]
        images = np.bincount(groups[labels == label], minlength=count)[own]
        largest_last = own[np.argsort(images == images.max(), kind='stable')]
        free = [group for group in largest_last if test[group] == UNDECIDED]
        if len(free) >= at_least:
            return
        if len(own) == 1:
            test[free] = val[free] = NEVER
            return
        used = [test[group] for group in own if test[group] >= 0]
        for group in free:
            fold = _least_used(used, folds, len(own))
            used.append(fold)
            test[group] = fold
            val[group] = (fold - 1) % folds
            if len(own) < FEWEST_FOR_VALIDATION or used.count(fold) > 1:
                val[group] = NEVER

    for label in sizes:
        deal(label, 2 * folds)
    rest = labels[test[groups] == UNDECIDED]
    if len(rest) and np.bincount(rest).max() < 2 * folds:  # too few for a split
        for label in sizes:
            deal(label, count + 1)
    return test, val


def give_validation(
    labels: np.ndarray,
    groups: np.ndarray,
    test: np.ndarray,
    val: np.ndarray,
    folds: int,
) -> None:
    """Let each fold without validation images have those of one group of its training.

    Where patients have images of several classes, all may have been dealt out for
    their rarest class, without validation. The group has the fewest images among those
    of a class with at least five groups, whose classes all keep a group to train on.

    Args:
        labels: Class of each image, (N,).
        groups: Group of each image, 0..G-1, (N,).
        test: For each group the fold in whose test it is, (G,).
        val: The same for validation, (G,); it is changed.
        folds: Number of folds.
    """
    present = np.unique(groups)
    without = [fold for fold in range(folds) if not (val[present] == fold).any()]
    if not without:
        return
    sizes = np.bincount(groups, minlength=len(test))
    has_class = {label: set(groups[labels == label]) for label in set(labels)}
    for fold in without:
        train = {g for g in present if test[g] != fold}
        for group in sorted(train, key=lambda g: (sizes[g], g)):
            own = [has for has in has_class.values() if group in has]
            is_free = val[group] < 0 and test[group] != NEVER
            is_free &= max(map(len, own)) >= FEWEST_FOR_VALIDATION
            if is_free and all((has & train) - {group} for has in own):
                val[group] = fold
                break


def describe_uneven(
    labels: np.ndarray, groups: np.ndarray, splits: np.ndarray, classes: tuple[str, ...]
) -> list[str]:
    """Describe classes whose split is far from 70/10/20: by more than a tenth.

    Args:
        labels: Class of each image, (N,).
        groups: Group of each image, (N,).
        splits: ``'train'``, ``'val'`` or ``'test'`` of each image, (N,).
        classes: Class names, K.

    Returns:
        One sentence for each such class.
    """
    sentences = []
    for label, name in enumerate(classes):
        own = splits[labels == label]
        count = len(set(groups[labels == label]))
        counts = [int((own == split).sum()) for split in SHARES]
        if count == 1:
            sentences.append(
                f'{name} has 1 group: its {len(own)} images are in train, and it '
                'cannot be tested'
            )
        elif (
            count
            and max(
                abs(n / len(own) - share)
                for n, share in zip(counts, SHARES.values(), strict=True)
            )
            > FAR
        ):
            sentences.append(
                f'{name} has {count} groups: its {len(own)} images are split '
                f'{"/".join(map(str, counts))}, far from 70/10/20'
            )
    return sentences


def _least_used(used: list[int], folds: int, groups: int) -> int:
    """Return the next fold: the first ones first, and in a second round the last."""
    counts = np.bincount(used, minlength=folds)
    candidates = np.flatnonzero(counts == counts.min())
    return int(candidates[0] if counts.min() == 0 else candidates[-1])
