"""Thresholds for a wanted sensitivity or specificity of one class, with a promise."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from mmimbal.evaluation.calibration_images import (
    check_share,
    checked_images,
    group_numbers,
)
from mmimbal.evaluation.fitted import Fitted

LEVEL = 0.95
SENSITIVITY, SPECIFICITY = 'sensitivity', 'specificity'


class TooFewGroupsError(ValueError):
    """There are too few calibration groups for a promise."""


@dataclass(frozen=True)
class Threshold(Fitted):
    """A threshold of the probability of one class against the rest.

    Attributes:
        classes: K class names, in the order of the columns of probabilities.
        name: The class.
        goal: ``sensitivity`` or ``specificity``.
        wanted: The wanted share of groups, in 0..1.
        level: How sure the bounds are: 0.95 is 95%.
        groups: Calibration groups with images of the class (for a specificity: with
            images of other classes).
        value: The threshold; the class is present where its probability is at least
            this.
        bound: Sensitivity (or specificity) on new groups that ``value`` promises.
        empirical: Threshold that has the wanted share on the calibration groups.
        empirical_bound: What this one promises; it is lower than ``wanted``.
    """

    classes: tuple[str, ...]
    name: str
    goal: str
    wanted: float
    level: float
    groups: int
    value: float
    bound: float
    empirical: float
    empirical_bound: float

    def __post_init__(self) -> None:
        if self.name not in self.classes or self.goal not in (SENSITIVITY, SPECIFICITY):
            raise ValueError(
                f'no threshold for the {self.goal} of {self.name}: the classes are '
                f'{", ".join(self.classes)}'
            )
        if not math.isfinite(self.value):
            raise ValueError(f'the threshold of {self.name} is {self.value}')

    def apply(
        self, probabilities: np.ndarray, classes: Sequence[str] | None = None
    ) -> np.ndarray:
        """Return whether the class is said to be present, (N,).

        Args:
            probabilities: Probabilities of N images, (N, K).
            classes: Their class names; if given, they are compared with the fitted.

        Raises:
            ValueError: If the classes are others or in another order, or a row is not
                finite or no probabilities.
        """
        column = self.checked(probabilities, classes)[:, self.classes.index(self.name)]
        return column >= self.value


def fit_threshold(
    probabilities: np.ndarray,
    labels: np.ndarray,
    groups: Sequence[str],
    classes: Sequence[str],
    name: str,
    *,
    sensitivity: float | None = None,
    specificity: float | None = None,
    level: float = LEVEL,
    promise: bool = True,
) -> Threshold:
    """Fit the best threshold that promises a sensitivity, or a specificity.

    A group (lesion, patient) counts as found if the worst of its images of the class
    passes, and as cleared if the worst of its images of other classes passes. Thus, the
    promise holds for whichever image of a new group is taken, and no draw decides.
    With a chance of ``level`` over the calibration groups, at least ``bound`` of all
    groups like these pass. This is a tolerance bound by order statistics (Wilks 1941,
    doi:10.1214/aoms/1177731788; the same as Clopper and Pearson's): it assumes nothing
    about the probabilities, but that new groups come from where the calibration groups
    come from, with as many images each, and that neither the model nor its calibration
    was fitted on these images.

    Args:
        probabilities: Probabilities of N calibration images, (N, K).
        labels: True class of each, (N,).
        groups: Group of each, (N,).
        classes: K class names.
        name: The class, against the rest.
        sensitivity: The wanted share of groups of the class that are found, or
        specificity: the wanted share of groups of other classes that are cleared.
        level: How sure the bounds are.
        promise: Whether ``value`` must promise what is wanted; otherwise, it is the
            empirical threshold, which falls short on new groups about half of the time.

    Raises:
        ValueError: If the input is bad (see :func:`checked_images`), not exactly one
            goal is given, there are too few groups for the promise (the message says
            how many are needed), or the threshold is above 1, which no image can reach.
    """
    probabilities, labels = checked_images(probabilities, labels, classes)
    codes = group_numbers(groups, len(labels))
    if name not in classes:
        raise ValueError(f'{name} is not a class: {", ".join(classes)}')
    if (sensitivity is None) == (specificity is None):
        raise ValueError(
            f'expected either a sensitivity or a specificity, got {sensitivity} and '
            f'{specificity}'
        )
    finds = specificity is None
    goal, wanted = (SENSITIVITY, sensitivity) if finds else (SPECIFICITY, specificity)
    check_share(goal, wanted)
    check_share('level', level)
    column = probabilities[:, classes.index(name)]
    chosen = (labels == classes.index(name)) == finds
    what = name if finds else f'other classes than {name}'
    # The higher a margin, the better: a high probability of the class finds it, a low
    # one clears others.
    margins = worst_of_each_group((column if finds else -column)[chosen], codes[chosen])
    number = len(margins)
    if not number:
        raise ValueError(f'no calibration image of {what}: no {goal} can be fitted')
    bounds = promises(number, level)
    allowed = min(int(np.floor(number * (1 - wanted) + 1e-9)), number - 1)
    kept = np.flatnonzero(bounds >= wanted)
    if promise and not len(kept):
        raise TooFewGroupsError(
            f'{number} calibration groups of {what} cannot promise a {goal} of '
            f'{wanted:g} at level {level:g}: at least {groups_needed(wanted, level)} '
            'groups are needed. Use more of them or a lower goal; --no-promise fits a '
            'threshold without a promise'
        )
    missed = kept[-1] if promise else allowed
    value, empirical = (
        float(margins[rank]) if finds else float(np.nextafter(-margins[rank], np.inf))
        for rank in (missed, allowed)
    )
    if value > 1:
        raise ValueError(
            f'a {goal} of {wanted:g} for {name} needs a threshold above 1, which no '
            'image can reach: images of other classes have the probability 1. Use a '
            'lower goal'
        )
    return Threshold(
        tuple(classes),
        name,
        goal,
        float(wanted),
        float(level),
        number,
        value,
        float(bounds[missed]),
        empirical,
        float(bounds[allowed]),
    )


def worst_of_each_group(margins: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the lowest margin of each of G groups, in ascending order, (G,).

    Args:
        margins: Margin of each image, (N,).
        groups: Number of the group of each, (N,).
    """
    _, codes = np.unique(groups, return_inverse=True)
    worst = np.full(codes.max(initial=-1) + 1, np.inf)
    np.minimum.at(worst, codes, margins)
    return np.sort(worst)


def promises(number: int, level: float = LEVEL) -> np.ndarray:
    """Return the share of new groups promised above each calibration group, (G,).

    Element r is the lower bound if the threshold is the margin of rank r of G, where
    rank 0 is the lowest: r calibration groups may fail. It falls with r.

    Args:
        number: Calibration groups, G.
        level: How sure the bounds are.
    """
    passed = np.arange(number, 0, -1)
    return beta.ppf(1 - level, passed, number - passed + 1)


def groups_needed(wanted: float, level: float = LEVEL) -> int:
    """Return how many calibration groups can promise a share if all of them pass."""
    number = math.ceil(math.log(1 - level) / math.log(wanted) - 1e-9)
    return max(number, 1)
