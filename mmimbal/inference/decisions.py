"""What a published model does with its probabilities: calibrate, decide, abstain."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import ROUND_CEILING, ROUND_DOWN, Decimal

import numpy as np

from mmimbal.evaluation.abstention import ConfidenceThreshold
from mmimbal.evaluation.conformal import ConformalSets
from mmimbal.evaluation.costs import least_cost_decisions
from mmimbal.evaluation.recalibration import Calibration
from mmimbal.evaluation.thresholds import Threshold


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


def rounded_down(share: float) -> str:
    """Return a share that is promised in %, with one decimal that is not above it."""
    return f'{math.floor(1000 * share + 1e-6) / 10:.1f}'


def threshold_text(threshold: float, goal: str = 'sensitivity') -> str:
    """Return a threshold of probabilities with four digits or more.

    It is rounded to the side that keeps the promise: down, or up for a specificity.
    Near 1, digits are those of its distance: 0.99998 is not 1, which no image reaches.
    """
    if not 0 < threshold < 1:
        return f'{threshold:g}'
    zeros = math.floor(-math.log10(min(threshold, 1 - threshold)))
    exact = Decimal(repr(float(threshold)))
    side = ROUND_CEILING if goal == 'specificity' else ROUND_DOWN
    rounded = exact.quantize(Decimal(1).scaleb(-4 - zeros), side)
    return f'{rounded.normalize():f}'


def describe(decisions: Decisions) -> list[str]:
    """Return sentences about what was fitted."""
    lines = []
    calibration = decisions.calibration
    if calibration:
        lines.append(f'Calibrated by {calibration.method} scaling')
        if calibration.prevalence is not None:
            shares = zip(calibration.classes, calibration.prevalence, strict=True)
            text = ', '.join(f'{name}: {share:.4g}' for name, share in shares)
            lines.append(f'Probabilities are for these shares of classes: {text}')
            if calibration.method == 'temperature':
                lines.append(
                    'Temperature scaling has no shift for each class: after rebalanced '
                    'training, probabilities for other shares are wrong. Use vector '
                    'scaling then'
                )
    for each in decisions.thresholds:
        lines.append(
            f'{each.name}: present from a probability of '
            f'{threshold_text(each.value, each.goal)}; at least '
            f'{rounded_down(each.bound)}% {each.goal} is promised for new groups, '
            f'from {each.groups} groups at level {each.level:.0%}'
        )
    if decisions.abstention:
        in_use = ''
        if calibration and calibration.prevalence is not None:
            in_use = ', weighted by the prevalences'
        each = decisions.abstention
        lines.append(
            f'Answers from a confidence of {threshold_text(each.value)}: '
            f'{each.accuracy:.1%} right, {each.coverage:.1%} of the calibration images'
            f'{in_use}'
        )
    if decisions.sets:
        lines.append(
            f'Prediction sets of {100 * decisions.sets.confidence:.4g}% coverage'
        )
        lines += decisions.sets.notes()
    if decisions.costs:
        names = decisions.classes
        costs = ', '.join(
            f'{true} as {predicted} {cost:g}'
            for true, row in zip(names, decisions.costs, strict=True)
            for predicted, cost in zip(names, row, strict=True)
            if cost
        )
        lines.append(f'Decisions are the classes of least expected cost: {costs}')
    return lines
