"""Temperature scaling, by scikit-learn."""

from collections.abc import Sequence

import numpy as np
from sklearn import __version__ as sklearn_version
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV

from mmimbal.evaluation.calibration_images import (
    are_all_right,
    are_no_better_than_chance,
    checked_images,
    class_shares,
)
from mmimbal.evaluation.recalibration import Calibration, log_probabilities

OLDEST_SKLEARN = (1, 8)


def fit_temperature(
    probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[str]
) -> Calibration:
    """Fit one temperature for all classes on calibration images.

    Logits are divided by the temperature with the lowest cross-entropy. The predicted
    class of an image stays the same (https://arxiv.org/abs/1706.04599).

    Args:
        probabilities: Probabilities of N calibration images, (N, K).
        labels: True class of each, (N,).
        classes: K class names.

    Raises:
        ImportError: If scikit-learn is older than 1.8.
        ValueError: If the input is bad (see :func:`checked_images`), a class has no
            calibration image, or no temperature is best.
    """
    probabilities, labels = checked_images(probabilities, labels, classes)
    shares = class_shares(labels, classes)
    logits = log_probabilities(probabilities)
    _check_best_exists(logits, labels)
    factor = _factor(logits, labels)
    number = len(classes)
    return Calibration(
        tuple(classes),
        'temperature',
        (factor,) * number,
        (0.0,) * number,
        tuple(shares.tolist()),
    )


class GivenLogits(ClassifierMixin, BaseEstimator):
    """A classifier for scikit-learn whose features are its logits already."""

    def __init__(self, classes: int) -> None:
        self.classes = classes

    def __sklearn_is_fitted__(self) -> bool:
        return True

    @property
    def classes_(self) -> np.ndarray:
        """Class indices, (K,)."""
        return np.arange(self.classes)

    def fit(self, logits: np.ndarray, labels: np.ndarray) -> 'GivenLogits':
        """Change nothing."""
        return self

    def predict(self, logits: np.ndarray) -> np.ndarray:
        """Return the most probable class, (N,); scikit-learn asks for this method."""
        return logits.argmax(1)

    def decision_function(self, logits: np.ndarray) -> np.ndarray:
        """Return the logits, (N, K); for two classes x, (N,), that mean (-x, x)."""
        return logits if self.classes > 2 else (logits[:, 1] - logits[:, 0]) / 2


def _check_best_exists(logits: np.ndarray, labels: np.ndarray) -> None:
    """Raise a ValueError if the cross-entropy is lowest at temperature 0, or infinity.

    The cross-entropy is convex in the factor 1 / temperature.
    """
    if are_no_better_than_chance(logits, labels):
        reason = (
            'their probabilities are no better than chance, so that the highest '
            'temperature is best'
        )
    elif are_all_right(logits, labels):
        reason = 'all are classified correctly, so that the lowest temperature is best'
    else:
        return
    raise ValueError(
        f'no temperature can be fitted on {len(labels)} calibration images: {reason}. '
        'Use more or other calibration images, or do not calibrate'
    )


def _factor(logits: np.ndarray, labels: np.ndarray) -> float:
    if tuple(map(int, sklearn_version.split('.')[:2])) < OLDEST_SKLEARN:
        raise ImportError(
            'temperature scaling needs scikit-learn >= 1.8 (Python 3.11 or later), '
            f"found {sklearn_version}: pip install 'scikit-learn>=1.8'"
        )
    from sklearn.frozen import FrozenEstimator  # not in old releases

    everything = np.arange(len(labels))  # classes may have fewer images than folds
    fitted = CalibratedClassifierCV(
        FrozenEstimator(GivenLogits(logits.shape[1])),
        method='temperature',
        cv=[(everything, everything)],
    ).fit(logits, labels)
    return float(fitted.calibrated_classifiers_[0].calibrators[0].beta_)
