"""What a published model does with its probabilities: calibrate, decide, abstain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from mmimbal.datasets.group_hashes import hash_groups
from mmimbal.evaluation.abstention import (
    ConfidenceThreshold,
    fit_confidence_threshold,
)
from mmimbal.evaluation.conformal import ConformalSets, fit_conformal_sets
from mmimbal.evaluation.costs import check_costs, least_cost_decisions
from mmimbal.evaluation.predictions import Predictions
from mmimbal.evaluation.recalibration import Calibration, with_prevalence
from mmimbal.evaluation.temperature import fit_temperature
from mmimbal.evaluation.thresholds import Threshold, fit_threshold
from mmimbal.evaluation.vector_scaling import fit_vector_scaling

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


@dataclass(frozen=True)
class Decisions:
    """What was fitted on calibration images.

    Attributes:
        classes: K class names.
        calibration: Calibrates probabilities; first of all.
        thresholds: For single classes against the rest.
        abstention: Below this confidence, there is no answer.
        sets: Prediction sets.
        costs: Cost of each true and predicted class, (K, K).
        groups: Hashes of the calibration groups; empty if they are not known.
    """

    classes: tuple[str, ...]
    calibration: Calibration | None = None
    thresholds: tuple[Threshold, ...] = ()
    abstention: ConfidenceThreshold | None = None
    sets: ConformalSets | None = None
    costs: tuple[tuple[float, ...], ...] | None = None
    groups: tuple[int, ...] = ()

    def calibrate(self, probabilities: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities, (N, K)."""
        if self.calibration is None:
            return probabilities
        return self.calibration.apply(probabilities, self.classes)

    @property
    def columns(self) -> list[str]:
        """Names of the columns of :meth:`cells`."""
        names = ['decision'] if self.costs else []
        names += [f'{each.name}: {each.goal}' for each in self.thresholds]
        names += ['answered'] if self.abstention else []
        return names + (['set'] if self.sets else [])

    def cells(self, probabilities: np.ndarray) -> list[list[str]]:
        """Return the cells of images, from calibrated probabilities, (N, K)."""
        names = np.array(self.classes)
        columns: list[Sequence[str]] = []
        if self.costs:
            chosen = least_cost_decisions(probabilities, self.costs, self.classes)
            columns.append(names[chosen].tolist())
        for fitted in (*self.thresholds, *filter(None, [self.abstention])):
            said = fitted.apply(probabilities, self.classes)
            columns.append(['yes' if each else 'no' for each in said])
        if self.sets:
            inside = self.sets.apply(probabilities, self.classes)
            columns.append([' | '.join(names[row]) for row in inside])
        return [list(row) for row in zip(*columns, strict=True)]

    def to_dict(self) -> dict[str, object]:
        """Return plain values, for a checkpoint."""
        parts = dict(
            calibration=self.calibration, abstention=self.abstention, sets=self.sets
        )
        return dict(
            classes=list(self.classes),
            thresholds=[each.to_dict() for each in self.thresholds],
            costs=[list(row) for row in self.costs] if self.costs else None,
            groups=list(self.groups),
            **{name: part.to_dict() if part else None for name, part in parts.items()},
        )

    @classmethod
    def from_dict(cls, content: Mapping, classes: Sequence[str]) -> 'Decisions':
        """Return what :meth:`to_dict` has described.

        Raises:
            ValueError: If it was made for other classes, is damaged, or is of another
                version.
        """
        wanted = {each.name for each in fields(cls)} - {'groups'}
        if missing := wanted - set(content):
            raise ValueError(
                'the decisions were stored by another version of mmimbal, without '
                f'{", ".join(sorted(missing))}: fit them again with tools/calibrate.py'
            )
        if tuple(content['classes']) != tuple(classes):
            raise ValueError(
                f'decisions were fitted for the classes {content["classes"]}, but got '
                f'{list(classes)}'
            )
        kinds = dict(
            calibration=Calibration, abstention=ConfidenceThreshold, sets=ConformalSets
        )
        parts = {
            name: kind.from_dict(content[name], classes) if content[name] else None
            for name, kind in kinds.items()
        }
        thresholds = [
            Threshold.from_dict(each, classes) for each in content['thresholds']
        ]
        costs = content['costs']
        return cls(
            tuple(classes),
            thresholds=tuple(thresholds),
            costs=tuple(map(tuple, costs)) if costs else None,
            groups=tuple(content.get('groups', ())),  # not in older files
            **parts,
        )


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
    check_classes_are_there(images)
    calibration, probabilities = None, images.scores.astype(float)
    chosen = np.ones(len(images.labels), bool)
    if wanted.method != 'none':
        first = first_half_of_groups(images.groups, seed)
        fit = METHODS[wanted.method]
        calibration = fit(probabilities[first], images.labels[first], classes)
        if wanted.prevalence:
            calibration = with_prevalence(calibration, wanted.prevalence)
        probabilities = calibration.apply(probabilities)
        chosen = ~first
    elif wanted.prevalence:
        raise ValueError('other prevalences need a calibration: vector or temperature')
    others = (probabilities[chosen], images.labels[chosen])
    groups = images.groups[chosen].tolist()
    thresholds = [
        fit_threshold(
            *others, groups, classes, name, **{goal: share}, promise=wanted.promise
        )
        for goal in ('sensitivity', 'specificity')
        for name, share in getattr(wanted, goal).items()
    ]
    costs = None
    if wanted.costs is not None:
        costs = tuple(map(tuple, check_costs(wanted.costs, classes).tolist()))
    return Decisions(
        classes,
        calibration,
        tuple(thresholds),
        fit_confidence_threshold(*others, classes, wanted.accuracy)
        if wanted.accuracy
        else None,
        fit_conformal_sets(
            *others, groups, classes, confidence=wanted.confidence, seed=seed
        )
        if wanted.confidence
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


def first_half_of_groups(groups: np.ndarray, seed: int) -> np.ndarray:
    """Return a mask of the images in a random half of the groups, (N,), bool."""
    names, codes = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    return order[codes] < len(names) / 2


def describe(decisions: Decisions) -> list[str]:
    """Return sentences about what was fitted."""
    lines = []
    if decisions.calibration:
        lines.append(f'Calibrated by {decisions.calibration.method} scaling')
    for each in decisions.thresholds:
        lines.append(
            f'{each.name}: present from a probability of {each.value:.3f}; at least '
            f'{each.bound:.1%} {each.goal} is promised for new groups, from '
            f'{each.groups} groups at level {each.level:.0%}'
        )
    if decisions.abstention:
        each = decisions.abstention
        lines.append(
            f'Answers from a confidence of {each.value:.3f}: {each.accuracy:.1%} '
            f'right, {each.coverage:.1%} of the calibration images'
        )
    if decisions.sets:
        lines.append(f'Prediction sets of {decisions.sets.confidence:.0%} coverage')
        lines += decisions.sets.notes()
    return lines
