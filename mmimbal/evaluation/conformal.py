"""Class-conditional conformal prediction sets, by crepes."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmimbal.evaluation.calibration_images import (
    check_share,
    checked_images,
    draw_one_of_each_group,
    group_numbers,
)
from mmimbal.evaluation.fitted import Fitted

CONFIDENCE = 0.95
SLACK = 1 + 1e-9  # a p-value of 1 / 20 is not above 1 - 0.95


@dataclass(frozen=True)
class ConformalSets(Fitted):
    """What p-values of new images are computed from.

    Attributes:
        classes: K class names, in the order of the columns of probabilities.
        confidence: Share of the images of each class whose set has their class, 0..1.
        scores: For each class, the probability of this class for each of its
            calibration images, ascending, K lists.
        seed: Seed of the draw of one image of each group.
        holds: Whether coverage is promised: no two images of a class and group.
    """

    classes: tuple[str, ...]
    confidence: float
    scores: tuple[tuple[float, ...], ...]
    seed: int
    holds: bool

    def __post_init__(self) -> None:
        check_share('confidence', self.confidence)
        if len(self.scores) != len(self.classes):
            raise ValueError(
                f'scores of {len(self.scores)} classes, expected {len(self.classes)}'
            )
        for name, values in zip(self.classes, self.scores, strict=True):
            if not np.isfinite(values).all():
                raise ValueError(f'scores of {name} are not finite')

    def apply(
        self, probabilities: np.ndarray, classes: Sequence[str] | None = None
    ) -> np.ndarray:
        """Return which classes are in the set of each image, (N, K).

        A set may be empty: then, no class has had such images. Arguments and errors are
        those of :meth:`p_values`.
        """
        return self.p_values(probabilities, classes) > (1 - self.confidence) * SLACK

    def p_values(
        self, probabilities: np.ndarray, classes: Sequence[str] | None = None
    ) -> np.ndarray:
        """Return the p-value of each class, (N, K).

        It is the share of calibration images of the class, with the new one, whose
        probability of this class is not higher; a class without such images has 1.

        Args:
            probabilities: Probabilities of N images, (N, K).
            classes: Their class names; if given, they are compared with the fitted.

        Raises:
            ImportError: If crepes is not installed.
            ValueError: If the classes are others or in another order, or a row is not
                finite or no probabilities.
        """
        probabilities = self.checked(probabilities, classes)
        bins = np.repeat(np.arange(len(self.classes)), [len(s) for s in self.scores])
        # Not 1 - p: that would round all small p to the same value.
        unusual = -np.concatenate([np.array(s, float) for s in self.scores])
        conformal = _crepes().ConformalClassifier().fit(unusual, bins)
        columns = [
            conformal.predict_p(-column, np.full(len(column), number), smoothing=False)
            for number, column in enumerate(probabilities.T)
        ]
        return np.stack(columns, axis=1)

    def in_every_set(self) -> list[str]:
        """Return the classes with too few calibration groups to be ever excluded."""
        needed = groups_needed_for_sets(self.confidence)
        return [
            name
            for name, values in zip(self.classes, self.scores, strict=True)
            if len(values) < needed
        ]

    def notes(self) -> list[str]:
        """Return sentences about what is not promised, or of no use."""
        notes = []
        needed = groups_needed_for_sets(self.confidence)
        for name in self.in_every_set():
            number = len(self.scores[self.classes.index(name)])
            notes.append(
                f'{name} is in every set: it has {number} calibration groups, and '
                f'{needed} are needed for {self.confidence:g}.'
            )
        if not self.holds:
            notes.append(
                'Coverage is not promised: calibration images of the same group are '
                'not independent.'
            )
        return notes


def fit_conformal_sets(
    probabilities: np.ndarray,
    labels: np.ndarray,
    groups: Sequence[str],
    classes: Sequence[str],
    *,
    confidence: float = CONFIDENCE,
    seed: int = 0,
    all_images: bool = False,
) -> ConformalSets:
    """Fit prediction sets on one calibration image of each group in each class.

    For each class, the set of a random image of a new group contains the true class
    with a chance of at least ``confidence``. The chance is over the calibration groups
    too (Vovk 2012, https://arxiv.org/abs/1209.2673). It assumes that new groups come
    from where the calibration groups come from, and that neither the model nor its
    calibration was fitted on these images. Probabilities need not be calibrated.

    Args:
        probabilities: Probabilities of N calibration images, (N, K).
        labels: True class of each, (N,).
        groups: Group of each, (N,).
        classes: K class names. One with too few groups, or none, is in every set.
        confidence: Wanted coverage of each class.
        seed: Seed of the draw of one image of each group.
        all_images: Use all images of each group. If there are several, coverage is not
            promised.

    Raises:
        ValueError: If the input is bad (see :func:`checked_images`), or the confidence
            is not between 0 and 1.
    """
    probabilities, labels = checked_images(probabilities, labels, classes)
    codes = group_numbers(groups, len(labels))
    drawn = draw_one_of_each_group(codes, labels, seed)
    chosen = np.arange(len(labels)) if all_images else drawn
    scores = [
        np.sort(probabilities[chosen[labels[chosen] == k], k]).tolist()
        for k in range(len(classes))
    ]
    return ConformalSets(
        tuple(classes),
        float(confidence),
        tuple(map(tuple, scores)),
        int(seed),
        len(chosen) == len(drawn),
    )


def groups_needed_for_sets(confidence: float = CONFIDENCE) -> int:
    """Return how many calibration groups a class needs to be excluded from any set.

    With n of them, the lowest p-value is 1 / (n + 1), which must not be above
    1 - confidence.
    """
    return math.ceil(1 / ((1 - confidence) * SLACK)) - 1


def _crepes():
    """Return crepes, without the filter of warnings that it sets when imported."""
    try:
        with warnings.catch_warnings():
            import crepes
    except ImportError as error:
        raise ImportError(
            "conformal sets need crepes: pip install 'mmimbal[decisions]'"
        ) from error
    return crepes
