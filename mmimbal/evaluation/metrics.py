"""All metrics of a set of predictions, by name."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mmimbal.evaluation import confusion as confusion_metrics
from mmimbal.evaluation.calibration import (
    confidence_and_hits,
    error_of_bins,
    squared_errors,
)
from mmimbal.evaluation.ranking import Ranking, auroc, average_precision, to_add
from mmimbal.evaluation.threads import limited_threads

CONFUSION_METRICS = dict(
    balanced_accuracy=confusion_metrics.balanced_accuracy,
    macro_f1=confusion_metrics.macro_f1,
    accuracy=confusion_metrics.accuracy,
    mcc=confusion_metrics.matthews,
    kappa=confusion_metrics.kappa,
    g_mean=confusion_metrics.g_mean,
    worst_recall=confusion_metrics.worst_recall,
    specificity=confusion_metrics.specificity,
)
RANKING_METRICS = dict(auroc=auroc, average_precision=average_precision)
LOWER_IS_BETTER = ('ece', 'brier')
SUM_TOLERANCE = 0.02  # probabilities may be rounded to 8 bits
NAMES = (*CONFUSION_METRICS, *RANKING_METRICS, *LOWER_IS_BETTER)


def summarise(
    scores: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    groups: Mapping[str, list[int]] | None = None,
) -> dict[str, float]:
    """Return the metrics of scores, in %, of images that count once.

    Metrics that are not defined, such as the recall of a class without images, are
    missing in the result. Arguments, names and errors are those of :func:`metrics_of`.
    """
    return measured_once(metrics_of(scores, labels, classes, groups), len(labels))


def measured_once(
    measure: Callable[[np.ndarray], Mapping[str, np.ndarray]], images: int
) -> dict[str, float]:
    """Return what a function measures if each image counts once, in %, if defined.

    Args:
        measure: Returns values, (B,) each, for weights of the images, (B, N).
        images: Number of images, N.
    """
    values = {name: each[0] for name, each in measure(np.ones((1, images))).items()}
    return {name: 100 * float(v) for name, v in values.items() if not np.isnan(v)}


def metrics_of(
    scores: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    groups: Mapping[str, list[int]] | None = None,
) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Return a function that measures all metrics for weights of the images.

    It needs about as much memory as float32 scores. What does not depend on weights is
    computed once.

    Args:
        scores: Probabilities, (N, K).
        labels: True class of each image, (N,).
        classes: K class names.
        groups: Class indices of each group, such as ``tail``.

    Returns:
        A function of weights, (B, N), how often each image counts. It returns, (B,)
        each, ``balanced_accuracy``, ``macro_f1``, ``accuracy``, ``mcc``, ``kappa``,
        ``g_mean``, ``worst_recall``, ``specificity``; ``auroc`` and
        ``average_precision``, one against the rest, means over classes; ``ece`` and
        ``brier`` (lower is better); ``<group>_recall`` and ``recall/<class>``. They
        are in 0..1, except ``mcc`` and ``kappa`` in -1..1 and ``brier`` in 0..2, and
        NaN if not defined. float32 rounds very high scores to 1, which makes them
        equal; therefore ``average_precision`` can be slightly too low (LDAM).

    Raises:
        ValueError: If a score is not finite, a label is not one of 0..K-1, or there are
            no images.
    """
    check_scores(scores, len(labels), len(classes))
    labels = checked_labels(labels, classes)
    confidence, right = confidence_and_hits(scores, labels)
    predicted, errors = scores.argmax(1), squared_errors(scores, labels)
    rankings = [Ranking(scores[:, k], labels == k) for k in range(len(classes))]

    def measure(weights: np.ndarray) -> dict[str, np.ndarray]:
        counts = confusion_metrics.count_predictions(
            labels, predicted, len(classes), weights
        )
        metrics = {name: metric(counts) for name, metric in CONFUSION_METRICS.items()}
        per_class = {name: [] for name in RANKING_METRICS}
        to_rank, images = to_add(weights), weights.sum(1)
        with limited_threads(1):  # for many small sums
            for ranking in rankings:
                ranked = ranking.count(to_rank)
                for name, metric in RANKING_METRICS.items():
                    per_class[name].append(metric(ranked, images))
        for name, values in per_class.items():
            metrics[name] = confusion_metrics.mean(np.stack(values, -1))
        metrics['ece'] = error_of_bins(confidence, right, weights)
        metrics['brier'] = weights @ errors / weights.sum(1)
        for name, members in (groups or {}).items():
            if members:
                recall = confusion_metrics.group_recall(counts, members)
                metrics[f'{name}_recall'] = recall
        recalls = confusion_metrics.recall_per_class(counts)
        each = {f'recall/{name}': recalls[:, k] for k, name in enumerate(classes)}
        return metrics | each

    return measure


def checked_labels(labels: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Return true or predicted classes as integers, (N,).

    Raises:
        ValueError: If there are none, or one is not one of 0..K-1.
    """
    labels = np.asarray(labels)
    if not labels.size:
        raise ValueError('expected at least one image, got none')
    if labels.ndim != 1 or labels.dtype.kind not in 'iu':
        raise ValueError(
            f'expected labels as integers of shape (N,), got {labels.dtype} of shape '
            f'{labels.shape}'
        )
    if labels.min() < 0 or labels.max() >= len(classes):
        raise ValueError(
            f'labels range from {labels.min()} to {labels.max()}, but there are '
            f'{len(classes)} classes'
        )
    return labels.astype(int)


def check_scores(scores: np.ndarray, images: int, classes: int) -> None:
    """Raise a ValueError if scores are not finite numbers, (images, classes)."""
    if not images:
        raise ValueError('metrics need at least one image, got none')
    if scores.shape != (images, classes):
        raise ValueError(
            f'scores have shape {scores.shape}, but there are {images} images and '
            f'{classes} classes'
        )
    broken = np.flatnonzero(~np.isfinite(scores).all(1))
    if len(broken):
        raise ValueError(
            f'the scores of {len(broken)} of {images} images are not finite, '
            f'first those of image {broken[0]}: training has diverged'
        )


def check_probabilities(scores: np.ndarray) -> None:
    """Raise a ValueError if scores, (N, K), are not probabilities of the classes."""
    wrong = (scores < 0).any(1) | (np.abs(scores.sum(1) - 1) > SUM_TOLERANCE)
    if wrong.any():
        number = wrong.argmax()
        raise ValueError(
            f'the scores of {wrong.sum()} of {len(scores)} images are not '
            f'probabilities: those of image {number} have the minimum '
            f'{scores[number].min():.3g} and the sum {scores[number].sum():.3g}'
        )


def never_predicted(scores: np.ndarray, classes: Sequence[str]) -> list[str]:
    """Return the names of the classes that were never predicted."""
    return _not_among(scores.argmax(1), classes)


def absent_classes(labels: np.ndarray, classes: Sequence[str]) -> str:
    """Return a sentence on classes without images; '' if all have some.

    Args:
        labels: True class of each image, (N,).
        classes: K class names.
    """
    absent = _not_among(labels, classes)
    if not absent:
        return ''
    return (
        f'There are no images of {", ".join(absent)}: means over classes are over '
        f'{len(classes) - len(absent)} of {len(classes)} classes.'
    )


def _not_among(labels: np.ndarray, classes: Sequence[str]) -> list[str]:
    """Return the names of the classes that are not among labels, (N,)."""
    counts = np.bincount(labels, minlength=len(classes))
    return [name for name, count in zip(classes, counts, strict=True) if not count]
