"""Fit calibration and decisions on images that a model was not trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mmimbal.datasets.group_hashes import hash_groups
from mmimbal.evaluation.abstention import fit_confidence_threshold
from mmimbal.evaluation.calibration_images import check_share
from mmimbal.evaluation.conformal import fit_conformal_sets
from mmimbal.evaluation.costs import checked_costs
from mmimbal.evaluation.predictions import Predictions
from mmimbal.evaluation.recalibration import Calibration, with_prevalence
from mmimbal.evaluation.temperature import fit_temperature
from mmimbal.evaluation.thresholds import TooFewGroupsError, fit_threshold
from mmimbal.evaluation.vector_scaling import fit_vector_scaling
from mmimbal.inference.decisions import Decisions

METHODS = dict(temperature=fit_temperature, vector=fit_vector_scaling)


@dataclass(frozen=True)
class Wanted:
    """What is asked of decisions.

    Attributes:
        method: ``'temperature'``, ``'vector'``, or ``'none'`` for no calibration.
        sensitivity: Wanted sensitivity of some classes, by name.
        specificity: Wanted specificity of some classes, by name.
        prevalence: Share of some classes where the model is used, by name.
        accuracy: Wanted accuracy of the images that are answered.
        confidence: Wanted coverage of prediction sets.
        costs: Cost of each true and predicted class, (K, K).
        promise: Whether thresholds must promise what is wanted.
    """

    method: str = 'vector'
    sensitivity: Mapping[str, float] = field(default_factory=dict)
    specificity: Mapping[str, float] = field(default_factory=dict)
    prevalence: Mapping[str, float] = field(default_factory=dict)
    accuracy: float | None = None
    confidence: float | None = None
    costs: Sequence[Sequence[float]] | None = None
    promise: bool = True

    def check(self, classes: Sequence[str]) -> None:
        """Check what can be checked without images.

        Raises:
            ValueError: If a class is unknown, a share is not between 0 and 1, costs are
                wrong, or two wishes exclude each other.
        """
        for goal in ('sensitivity', 'specificity', 'prevalence'):
            for name, share in getattr(self, goal).items():
                if name not in classes:
                    raise ValueError(
                        f'{goal} of {name}, which is not a class: {", ".join(classes)}'
                    )
                check_share(f'{goal} of {name}', share)
        for what, share in dict(accuracy=self.accuracy, sets=self.confidence).items():
            if share is not None:
                check_share(what, share)
        if self.prevalence and self.method == 'none':
            raise ValueError(
                'other prevalences need a calibration: vector or temperature'
            )
        goals = self.sensitivity, self.specificity
        values = self.accuracy, self.confidence, self.costs
        is_nothing = not any(goals) and all(value is None for value in values)
        if is_nothing and self.method == 'none':
            raise ValueError(
                'nothing to fit: with --method none, ask for --sensitivity, '
                '--specificity, --accuracy, --sets or --costs'
            )
        if len(classes) > 2:  # else the other class is all of the others
            check_specificity(self)
        if self.costs is not None:
            checked_costs(self.costs, classes)


def fit_decisions(images: Predictions, wanted: Wanted, seed: int = 0) -> Decisions:
    """Fit what is wanted on calibration images, which no member was trained on.

    With a calibration, half of the groups are for it, and the other half for
    thresholds, abstention and sets: what these promise needs images that the
    calibration has not seen.

    Args:
        images: Predictions of the model for the calibration images.
        wanted: What is asked.
        seed: Seed of the division of groups.

    Raises:
        ValueError: If the images cannot give what is wanted; the message says why.
    """
    classes = images.classes
    wanted.check(classes)
    check_classes_are_there(images)
    calibration, probabilities = None, images.scores.astype(float)
    chosen = np.ones(len(images.labels), bool)
    if wanted.method != 'none':
        first = first_half_of_groups(images.groups, images.labels, seed)
        check_both_halves(images, first)
        fit = METHODS[wanted.method]
        calibration = fit(probabilities[first], images.labels[first], classes)
        if wanted.prevalence:
            calibration = with_prevalence(calibration, wanted.prevalence)
        probabilities = calibration.apply(probabilities)
        chosen = ~first
    others = (probabilities[chosen], images.labels[chosen])
    groups = images.groups[chosen].tolist()
    try:
        thresholds = [
            fit_threshold(
                *others, groups, classes, name, **{goal: share}, promise=wanted.promise
            )
            for goal in ('sensitivity', 'specificity')
            for name, share in getattr(wanted, goal).items()
        ]
    except TooFewGroupsError as error:
        if calibration is None:
            raise
        half = 'The other half of the groups was used to calibrate, see --method none'
        raise ValueError(f'{error}. {half}') from None
    costs = None
    if wanted.costs is not None:
        costs = tuple(map(tuple, checked_costs(wanted.costs, classes).tolist()))
    return Decisions(
        classes,
        calibration,
        tuple(thresholds),
        fit_confidence_threshold(
            *others, classes, wanted.accuracy, weights_in_use(others[1], calibration)
        )
        if wanted.accuracy is not None
        else None,
        fit_conformal_sets(
            *others, groups, classes, confidence=wanted.confidence, seed=seed
        )
        if wanted.confidence is not None
        else None,
        costs,
        tuple(hash_groups(images.groups).tolist()),
    )


def check_classes_are_there(images: Predictions) -> None:
    """Raise a ValueError if a class has no calibration image."""
    counts = np.bincount(images.labels, minlength=len(images.classes))
    missing = [c for c, n in zip(images.classes, counts, strict=True) if not n]
    if missing:
        raise ValueError(
            f'no calibration image of {", ".join(missing)}: choose a larger split'
        )


def first_half_of_groups(
    groups: np.ndarray, labels: np.ndarray, seed: int
) -> np.ndarray:
    """Return a mask of the images in a random half of the groups, (N,), bool.

    Of each class, every second group is in it. Groups of several classes are divided
    first, by their rarest class; the others make up for what is then uneven.
    """
    names, codes = np.unique(groups, return_inverse=True)
    pairs = np.unique(np.stack([codes, labels], 1), axis=0)
    sizes = np.bincount(pairs[:, 1])  # groups of each class
    rarest_first = pairs[np.lexsort((pairs[:, 1], sizes[pairs[:, 1]], pairs[:, 0]))]
    starts = np.flatnonzero(np.diff(rarest_first[:, 0], prepend=-1))
    classes_of = [own.tolist() for own in np.split(rarest_first[:, 1], starts[1:])]
    random = np.random.default_rng(seed).permutation(len(names))
    order = sorted(
        range(len(names)),
        key=lambda group: (
            len(classes_of[group]) == 1,
            [(sizes[each], each) for each in classes_of[group]]
            if len(classes_of[group]) > 1
            else classes_of[group],
            random[group],
        ),
    )
    chosen = np.zeros(len(names), bool)
    more = np.zeros(len(sizes), int)  # groups of each class in this half, not the other
    for place, group in enumerate(order):
        own = classes_of[group]
        uneven = next((more[each] for each in own if more[each]), None)
        chosen[group] = place % 2 == 0 if uneven is None else uneven < 0
        more[own] += 1 if chosen[group] else -1
    return chosen[codes]


def check_both_halves(images: Predictions, first: np.ndarray) -> None:
    """Raise a ValueError if a class is in one half of the groups alone."""
    for number, name in enumerate(images.classes):
        halves = set(first[images.labels == number].tolist())
        if len(halves) == 1:
            groups = len(set(images.groups[images.labels == number]))
            raise ValueError(
                f'the groups with calibration images of {name} ({groups}) are all in '
                'one half, but one is needed to calibrate and another one for '
                'decisions. Choose a larger split, or --method none'
            )


def check_specificity(wanted: Wanted) -> None:
    """Raise a ValueError if a specificity would change with the prevalences.

    It depends on the shares of all other classes, and the promise of a threshold holds
    for those of the calibration images.
    """
    for name in wanted.specificity:
        others = sorted(set(wanted.prevalence) - {name})
        if others:
            raise ValueError(
                f'the specificity of {name} depends on the prevalence of '
                f'{", ".join(others)}, and is measured at that of the calibration '
                'images: ask for a sensitivity, or do not change these prevalences'
            )


def weights_in_use(
    labels: np.ndarray, calibration: Calibration | None
) -> np.ndarray | None:
    """Return weights that give images the prevalences of a calibration, (N,)."""
    if calibration is None or calibration.prevalence is None:
        return None
    shares = np.bincount(labels, minlength=len(calibration.classes)) / len(labels)
    return np.array(calibration.prevalence)[labels] / shares[labels]
