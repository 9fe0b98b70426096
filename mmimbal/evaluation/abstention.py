"""Abstention: answer for confident images alone, and pass the others on.

The confidence of an image is its highest probability. Coverage is the share of images
that are answered, risk is the share of errors among these.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mmimbal.evaluation.calibration_images import check_share, checked_images
from mmimbal.evaluation.confusion import divide
from mmimbal.evaluation.fitted import Fitted

TOLERANCE = 1e-12  # of an accuracy


@dataclass(frozen=True)
class ConfidenceThreshold(Fitted):
    """A confidence below which no answer is given.

    Attributes:
        classes: K class names, in the order of the columns of probabilities.
        wanted: The wanted accuracy of the answers, in 0..1.
        value: An image is answered where its highest probability is at least this.
        accuracy: Accuracy of the answers on the calibration images.
        coverage: Share of the calibration images that are answered.
        answered: Number of these images.
    """

    classes: tuple[str, ...]
    wanted: float
    value: float
    accuracy: float
    coverage: float
    answered: int

    def __post_init__(self) -> None:
        if not 0 <= self.value <= 1:
            raise ValueError(f'a confidence must be in 0..1, got {self.value}')

    def apply(
        self, probabilities: np.ndarray, classes: Sequence[str] | None = None
    ) -> np.ndarray:
        """Return whether each image is answered, (N,).

        Args:
            probabilities: Probabilities of N images, (N, K).
            classes: Their class names; if given, they are compared with the fitted.

        Raises:
            ValueError: If the classes are others or in another order, or a row is not
                finite or no probabilities.
        """
        return self.checked(probabilities, classes).max(1) >= self.value


def fit_confidence_threshold(
    probabilities: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    accuracy: float,
    weights: np.ndarray | None = None,
) -> ConfidenceThreshold:
    """Fit the threshold that answers most images at a wanted accuracy.

    The accuracy is measured on calibration images, not promised for others: the best of
    many thresholds was taken, so that new images are on average a little worse. Measure
    it on test images with :func:`answered`.

    Args:
        probabilities: Probabilities of N calibration images, (N, K).
        labels: True class of each, (N,).
        classes: K class names.
        accuracy: The wanted accuracy of the answers.
        weights: How much each image counts, (N,), as where the model is used classes
            have other shares; all alike if ``None``.

    Raises:
        ValueError: If the input is bad (see :func:`checked_images`), or no threshold
            has this accuracy; the message says what can be reached.
    """
    probabilities, labels = checked_images(probabilities, labels, classes)
    check_share('accuracy', accuracy)
    weights = np.ones(len(labels)) if weights is None else weights
    confidence, coverage, risk = risk_coverage(probabilities, labels, weights[None])
    right = np.flatnonzero(1 - risk[0] >= accuracy - TOLERANCE)
    if not len(right):
        best = np.nanargmin(risk[0])
        raise ValueError(
            f'no confidence gives an accuracy of {accuracy:g} on {len(labels)} '
            f'calibration images: the best is {1 - risk[0, best]:.3g}, for '
            f'{coverage[0, best]:.3g} of the images. Use a lower accuracy'
        )
    last = right[-1]
    return ConfidenceThreshold(
        tuple(classes),
        float(accuracy),
        float(confidence[last]),
        float(1 - risk[0, last]),
        float(coverage[0, last]),
        int((probabilities.max(1) >= confidence[last]).sum()),
    )


def risk_coverage(
    probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the risk-coverage curve, from the most confident image on.

    Images with equal confidence are answered together. See
    https://arxiv.org/abs/1705.08500.

    Args:
        probabilities: Probabilities, (N, K), with T different confidences.
        labels: True class of each image, (N,).
        weights: How often each image counts, (B, N); (1, N) ones for the images as they
            are, :func:`mmimbal.evaluation.bootstrap.draw_weights` for intervals.

    Returns:
        Thresholds, descending, (T,); coverage, (B, T); risk, (B, T), NaN where no image
        is answered yet.
    """
    return risk_coverage_of(probabilities, labels)(weights)


def risk_coverage_of(
    probabilities: np.ndarray, labels: np.ndarray
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Sort once; return a function of weights that returns :func:`risk_coverage`."""
    confidence = probabilities.max(1).astype(float)
    wrong = (probabilities.argmax(1) != labels).astype(float)
    order = np.argsort(-confidence, kind='stable')
    last_of_equals = np.flatnonzero(np.diff(confidence[order], append=-np.inf))
    thresholds, wrong = confidence[order][last_of_equals], wrong[order]

    def curve(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        weights = weights[:, order].astype(float)
        answered = weights.cumsum(1)[:, last_of_equals]
        errors = (weights * wrong).cumsum(1)[:, last_of_equals]
        return thresholds, answered / answered[:, -1:], divide(errors, answered)

    return curve


def area_under_risk(coverage: np.ndarray, risk: np.ndarray) -> np.ndarray:
    """Return the area under risk-coverage curves (AURC), (B,), 0..1.

    It is the mean risk over all coverages; lower is better. Arguments are results of
    :func:`risk_coverage`, (B, T).
    """
    return np.nansum(np.diff(coverage, axis=1, prepend=0.0) * risk, axis=1)


def best_area_under_risk(
    probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return the AURC of the best order of the same answers, (B,): all errors last.

    With many images and a risk r, it is ``r + (1 - r) ln(1 - r)``
    (https://arxiv.org/abs/1805.08206). Arguments are those of :func:`risk_coverage`.
    """
    wrong = probabilities.argmax(1) != labels
    errors_last = np.lexsort((-probabilities.max(1), wrong))
    weights = weights[:, errors_last].astype(float)
    of_errors = weights[:, np.sort(wrong)]
    errors, total = of_errors.cumsum(1), weights.sum(1, keepdims=True)
    right = total - of_errors.sum(1, keepdims=True)
    return np.nansum(of_errors / total * divide(errors, right + errors), axis=1)


def answered(
    probabilities: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    threshold: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return coverage and accuracy of the answers at a fitted threshold, (B,) each.

    The accuracy is NaN where no image is answered. Other arguments are those of
    :func:`risk_coverage`.

    Args:
        probabilities: Probabilities, (N, K).
        labels: True class of each image, (N,).
        weights: How often each image counts, (B, N).
        threshold: ``value`` of a :class:`ConfidenceThreshold`.
    """
    probabilities = np.asarray(probabilities, float)
    chosen = (probabilities.max(1) >= threshold).astype(float)
    right = chosen * (probabilities.argmax(1) == labels)
    total = weights @ chosen
    return total / weights.sum(1), divide(weights @ right, total)
