"""Calibrated probabilities, and their correction for other prevalences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import softmax

from mmimbal.evaluation.calibration import LOWEST
from mmimbal.evaluation.fitted import Fitted
from mmimbal.evaluation.predictions import Predictions

SUM_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Calibration(Fitted):
    """A scale and a shift of the log-probability of each class.

    Attributes:
        classes: K class names, in the order of the columns of probabilities.
        method: ``temperature`` or ``vector``.
        scale: Factor of the log-probability of each class, (K,).
        shift: What is added to it, (K,).
        shares: Share of each class among the calibration images, (K,).
        prevalence: Share of each class where the model is used, (K,), if it differs.
    """

    classes: tuple[str, ...]
    method: str
    scale: tuple[float, ...]
    shift: tuple[float, ...]
    shares: tuple[float, ...]
    prevalence: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for name in ('scale', 'shift', 'shares', 'prevalence'):
            values = getattr(self, name)
            if name == 'prevalence' and values is None:
                continue
            if len(values) != len(self.classes) or not np.isfinite(values).all():
                raise ValueError(
                    f'{name} must have a finite number for each of '
                    f'{len(self.classes)} classes, got {values}'
                )
            if name in ('shares', 'prevalence') and min(values) <= 0:
                raise ValueError(f'{name} must be above 0, got {values}')

    def apply(
        self, probabilities: np.ndarray, classes: Sequence[str] | None = None
    ) -> np.ndarray:
        """Return calibrated probabilities, (N, K), float64; each row has the sum 1.

        Args:
            probabilities: Probabilities of the model, (N, K).
            classes: Their class names; if given, they are compared with the fitted.

        Raises:
            ValueError: If the classes are others or in another order, or a row is not
                finite or no probabilities.
        """
        probabilities = self.checked(probabilities, classes)
        logits = log_probabilities(probabilities) * self.scale + self.offset
        return softmax(logits, axis=1)

    @property
    def offset(self) -> np.ndarray:
        """Shift of each log-probability, with that to the prevalence, (K,)."""
        shift = np.array(self.shift)
        if self.prevalence is None:
            return shift
        return shift + np.log(self.prevalence) - np.log(self.shares)


def calibrated(run: Predictions, calibration: Calibration) -> Predictions:
    """Return predictions with calibrated probabilities.

    They are for the shares of classes in these images: without the prevalences of the
    calibration, which are those of another place.

    Args:
        run: Predictions, (N, K).
        calibration: A calibration, fitted for the same classes.
    """
    fitted = replace(calibration, prevalence=None)
    return replace(run, scores=fitted.apply(run.scores.astype(float), run.classes))


def with_prevalence(
    calibration: Calibration, prevalence: Mapping[str, float]
) -> Calibration:
    """Return a calibration for images among which classes have other shares.

    Each calibrated probability is multiplied by its new share over that among the
    calibration images; then each row is normalised (Saerens et al. 2002,
    doi:10.1162/089976602753284446). This is right if the images of each class look as
    they do among the calibration images, and if probabilities are calibrated there.
    After rebalanced training, temperature scaling cannot make them so, because it has
    no shift for each class: use vector scaling.

    Args:
        calibration: Fitted on the calibration images. A former correction is replaced.
        prevalence: Share of some or all classes where the model is used, by name. The
            other classes divide the rest as among the calibration images.

    Raises:
        ValueError: If a name is unknown, a share is not between 0 and 1, or shares of
            all classes do not have the sum 1.
    """
    unknown = [name for name in prevalence if name not in calibration.classes]
    if unknown or not prevalence:
        raise ValueError(
            f'expected prevalences of {", ".join(calibration.classes)}, got '
            f'{list(prevalence)}'
        )
    for name, share in prevalence.items():
        if not 0 < share < 1:
            raise ValueError(
                f'the prevalence of {name} must be between 0 and 1, both excluded, got '
                f'{share}. Retrain without a class that never occurs'
            )
    total = sum(prevalence.values())
    others = [k for k, c in enumerate(calibration.classes) if c not in prevalence]
    if (others and total >= 1) or (not others and abs(total - 1) > SUM_TOLERANCE):
        raise ValueError(
            f'the prevalences have the sum {total:.6g}, expected '
            + ('less than 1: other classes need a share too' if others else '1')
        )
    rest = sum(calibration.shares[k] for k in others)
    shares = {
        calibration.classes[k]: (1 - total) * calibration.shares[k] / rest
        for k in others
    } | {name: share / (1 if others else total) for name, share in prevalence.items()}
    new = tuple(float(shares[name]) for name in calibration.classes)
    return replace(calibration, prevalence=new)


def log_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """Return log-probabilities; 0 counts as the smallest normal number of float32.

    They are the logits of the model minus a number that differs between images. That
    makes no difference to temperature scaling, but a small one to vector scaling.
    """
    return np.log(np.maximum(probabilities, LOWEST))
