"""Confidence intervals of metrics, by resampling groups of images (bootstrap)."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from mmimbal.evaluation.metrics import measured_once, metrics_of
from mmimbal.evaluation.predictions import Predictions

RESAMPLES = 2000
RESAMPLES_AT_ONCE = 50
LEVEL = 0.95
# With fewer groups of a class, intervals of means over classes are too narrow. Tests
# simulate it.
FEW_GROUPS = 30
BIASED = ('ece', 'worst_recall')  # noise moves a distance or a minimum in one direction


def metrics_with_intervals(
    predictions: Predictions,
) -> dict[str, tuple[float, float, float]]:
    """Return each metric that is defined, with the bounds of its interval, in %.

    Args:
        predictions: Predictions for N images.
    """
    measure = metrics_of(predictions.scores, predictions.labels, predictions.classes)
    resampled = resample(measure, predictions.groups)
    groups_of = groups_of_shares(predictions)
    found = {}
    for name, value in measured_once(measure, len(predictions.labels)).items():
        values, groups = 100 * resampled[name], groups_of.get(name)
        found[name] = (value, *interval_of(name, value, values, groups=groups))
    return found


def resample(
    measure: Callable[[np.ndarray], Mapping[str, np.ndarray]],
    groups: Sequence[str],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Return what a function measures on all resamples of the groups, (R,) each.

    Groups (lesions, patients) are drawn with replacement, because images of the same
    group are not independent. With the same seed and the same images, all predictions
    get the same resamples, so that differences are paired.

    Args:
        measure: Returns values, (B,) each, for weights of the images, (B, N).
        groups: Group of each image, (N,).
        resamples: Number of resamples, R.
        seed: Seed of the draws.
    """
    parts = [measure(weights) for weights in draw_weights(groups, resamples, seed)]
    return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


def draw_weights(
    groups: Sequence[str], resamples: int, seed: int
) -> Iterator[np.ndarray]:
    """Yield how often each image is in each resample, (B, N), until R resamples."""
    _, codes = np.unique(groups, return_inverse=True)
    for times in draw_groups(codes.max() + 1, resamples, seed):
        yield times[:, codes]


def draw_groups(number: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield how often each of G groups is drawn, (B, G), until R resamples."""
    random = np.random.default_rng(seed)
    for start in range(0, resamples, RESAMPLES_AT_ONCE):
        size = min(RESAMPLES_AT_ONCE, resamples - start)
        drawn = random.integers(0, number, (size, number))
        times = [np.bincount(row, minlength=number) for row in drawn]
        yield np.stack(times).astype(float)


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the 2.5% and 97.5% quantiles of values; NaN is ignored."""
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(values, (tail, 1 - tail))
    return float(low), float(high)


def caution(
    groups: Sequence[str],
    labels: np.ndarray,
    classes: Sequence[str],
    predicted: Sequence[np.ndarray] = (),
) -> str:
    """Return a warning if intervals are not reliable, else ''.

    A class with few groups is absent from some resamples: with 3 groups, from 1 in 20.
    In these resamples, means over classes are means over the other classes. And a class
    with a recall of 0 or 100% has it in each resample, too.

    Args:
        groups: Group of each image, (N,).
        labels: True class of each image, (N,).
        classes: K class names.
        predicted: For each run, the predicted class of each image, (N,).
    """
    if len(np.unique(groups)) < FEW_GROUPS:
        return (
            f'Fewer than {FEW_GROUPS} groups: the intervals are too narrow and not '
            'reliable.'
        )
    counts = groups_by_class(groups, labels, classes)
    few = [f'{name}: {n}' for name, n in counts.items() if 0 < n < FEW_GROUPS]
    certain = _all_or_none(labels, predicted, classes)
    reasons = []
    if few:
        reasons.append(
            f'Classes with fewer than {FEW_GROUPS} groups ({", ".join(few)}).'
        )
    if certain:
        reasons.append(f'Classes with a recall of 0 or 100%: {", ".join(certain)}.')
    if not reasons:
        return ''
    return ' '.join([*reasons, 'Intervals of means over classes are too narrow.'])


def _all_or_none(
    labels: np.ndarray, predicted: Sequence[np.ndarray], classes: Sequence[str]
) -> list[str]:
    """Return the classes whose images a run has all found, or none of them."""
    images = np.bincount(labels, minlength=len(classes))
    found = np.zeros(len(classes), bool)
    for of_run in predicted:
        hits = np.bincount(labels[of_run == labels], minlength=len(classes))
        found |= (images > 0) & ((hits == 0) | (hits == images))
    return [classes[label] for label in np.flatnonzero(found)]


def groups_by_class(
    groups: Sequence[str], labels: np.ndarray, classes: Sequence[str]
) -> dict[str, int]:
    """Return the number of groups that have images of a class, by class name.

    Arguments are as in :func:`caution`.
    """
    pairs = {(int(label), group) for label, group in zip(labels, groups, strict=True)}
    counts = np.bincount([label for label, _ in pairs], minlength=len(classes))
    return dict(zip(classes, counts.tolist(), strict=True))


def groups_of_shares(predictions: Predictions) -> dict[str, int]:
    """Return the number of groups that shares of images are measured on, by metric.

    These are the accuracy and the recall of each class. The worst recall counts as
    measured on the class with the fewest groups; if no image of some classes is found,
    on that of these classes with the most groups, whose bound is the lowest.
    """
    labels, classes = predictions.labels, predictions.classes
    counts = groups_by_class(predictions.groups, labels, classes)
    shares = {f'recall/{name}': number for name, number in counts.items()}
    shares['accuracy'] = len(np.unique(predictions.groups))
    found = np.unique(labels[predictions.scores.argmax(1) == labels])
    never = [counts[name] for k, name in enumerate(classes) if k not in found]
    fewest = min(filter(None, counts.values()))
    shares['worst_recall'] = max(never, default=0) or fewest
    return shares


def interval_of(
    metric: str,
    measured: float,
    values: np.ndarray,
    difference: bool = False,
    groups: int | None = None,
) -> tuple[float, float]:
    """Return the interval of a metric, or of a difference between runs, in %.

    Noise makes the calibration error larger and the worst recall smaller than they
    really are, and resampling adds noise. Therefore, their intervals are made symmetric
    around the measured value, as wide as the resamples on the wider side, and cut at
    0..100 (differences at -100..100). They are still too narrow if all classes are
    equally hard, or if calibration is perfect.

    A share that is 0 or 100 is so in each resample, too. There, the other bound is that
    of Clopper and Pearson (doi:10.1093/biomet/26.4.404) for as many groups.

    Args:
        metric: Name of the metric.
        measured: Value on all images.
        values: Value for each resample, (R,).
        difference: Whether this is a difference, which may be negative.
        groups: For a share of images, number of groups that it is measured on.
    """
    low, high = interval(values)
    if groups and measured in (0, 100):
        bound = 100 * ((1 - LEVEL) / 2) ** (1 / groups)
        return (
            (0.0, max(high, 100 - bound)) if measured == 0 else (min(low, bound), 100.0)
        )
    if metric not in BIASED:
        return low, high
    reach = max(measured - low, high - measured)
    lowest = -100.0 if difference else 0.0
    return max(measured - reach, lowest), min(measured + reach, 100.0)
