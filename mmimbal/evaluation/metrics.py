"""All metrics of a set of predictions, by name."""

from collections.abc import Mapping, Sequence

import numpy as np

from mmimbal.evaluation import confusion as of
from mmimbal.evaluation.calibration import brier, calibration_error
from mmimbal.evaluation.ranking import auroc, average_precision

OF_CONFUSION = dict(
    balanced_accuracy=of.balanced_accuracy,
    macro_f1=of.macro_f1,
    accuracy=of.accuracy,
    mcc=of.matthews,
    kappa=of.kappa,
    g_mean=of.g_mean,
    worst_recall=of.worst_recall,
    specificity=of.specificity,
)
OF_RANKING = dict(auroc=auroc, average_precision=average_precision)
OF_SCORES = dict(ece=calibration_error, brier=brier)
LOWER_IS_BETTER = tuple(OF_SCORES)
SLACK = 0.02  # of sums of probabilities, which may be rounded to 8 bits
NAMES = (*OF_CONFUSION, *OF_RANKING, *OF_SCORES)


def summarise(
    scores: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    groups: Mapping[str, list[int]] | None = None,
) -> dict[str, float]:
    """Return the metrics of scores, in %; see :func:`weighted_metrics`.

    What is not defined, such as the recall of a class without images, is left out.
    """
    found = weighted_metrics(scores, labels, classes, np.ones((1, len(labels))), groups)
    return {
        name: 100 * float(values[0])
        for name, values in found.items()
        if not np.isnan(values[0])
    }


def weighted_metrics(
    scores: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    weights: np.ndarray,
    groups: Mapping[str, list[int]] | None = None,
) -> dict[str, np.ndarray]:
    """Return all metrics of scores, (B,) each, for B ways to weigh the images.

    Args:
        scores: Probabilities, (N, K).
        labels: True class of each image, (N,).
        classes: K names.
        weights: How often each image counts, (B, N).
        groups: Indices of the classes of groups, such as ``tail``.

    Returns:
        ``balanced_accuracy``, ``macro_f1``, ``accuracy``, ``mcc``, ``kappa``,
        ``g_mean``, ``worst_recall``, ``specificity``; ``auroc`` and
        ``average_precision``, means over the classes, each against the rest; ``ece``
        and ``brier``, for which less is better; ``<group>_recall`` and
        ``recall/<class>``. All in 0..1, but ``mcc`` and ``kappa`` -1..1 and ``brier``
        0..2; NaN where not defined. Scores that float32 has rounded to 1 are equal, so
        that ``average_precision`` of sharp ones (LDAM) comes out a little low.

    Raises:
        ValueError: If a score is not finite, or there is no image.
    """
    check_scores(scores, labels, len(classes))
    scores = np.asarray(scores, float)
    confusion = of.count_confusions(labels, scores.argmax(1), len(classes), weights)
    found = {name: metric(confusion) for name, metric in OF_CONFUSION.items()}
    for name, metric in OF_RANKING.items():
        per_class = [
            metric(scores[:, k], labels == k, weights) for k in range(len(classes))
        ]
        found[name] = of.mean(np.stack(per_class, -1))
    found |= {
        name: metric(scores, labels, weights) for name, metric in OF_SCORES.items()
    }
    for name, members in (groups or {}).items():
        if members:
            found[f'{name}_recall'] = of.group_recall(confusion, members)
    recalls = of.recall_per_class(confusion)
    return found | {f'recall/{name}': recalls[:, k] for k, name in enumerate(classes)}


def check_scores(scores: np.ndarray, labels: np.ndarray, classes: int) -> None:
    """Raise a ValueError if scores cannot be judged."""
    if not len(labels):
        raise ValueError('there is no image to compute metrics of')
    if scores.shape != (len(labels), classes):
        raise ValueError(
            f'scores of shape {scores.shape} do not fit {len(labels)} images of '
            f'{classes} classes'
        )
    broken = np.flatnonzero(~np.isfinite(scores).all(1))
    if len(broken):
        raise ValueError(
            f'scores of {len(broken)} of {len(labels)} images are not finite, the '
            f'first is number {broken[0]}: training has diverged'
        )


def check_probabilities(scores: np.ndarray) -> None:
    """Raise a ValueError if scores, (N, K), are not the probabilities of classes."""
    wrong = (scores < 0).any(1) | (np.abs(scores.sum(1) - 1) > SLACK)
    if wrong.any():
        number = wrong.argmax()
        raise ValueError(
            f'scores of {wrong.sum()} of {len(scores)} images are no probabilities: '
            f'those of number {number} are {scores[number].min():.3g} or more and have '
            f'the sum {scores[number].sum():.3g}. Calibration could not be judged'
        )


def never_predicted(scores: np.ndarray, classes: Sequence[str]) -> list[str]:
    """Return the names of the classes that no image was taken for."""
    counts = np.bincount(scores.argmax(1), minlength=len(classes))
    return [name for name, count in zip(classes, counts, strict=True) if not count]
