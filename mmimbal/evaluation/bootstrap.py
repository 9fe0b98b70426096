"""How far a metric could be from what was measured: resampling groups of images."""

from collections.abc import Iterator, Sequence

import numpy as np

from mmimbal.evaluation.metrics import weighted_metrics
from mmimbal.evaluation.predictions import Predictions

RESAMPLES = 2000
AT_ONCE = 50
LEVEL = 0.95
FEW_GROUPS = 10  # fewer say next to nothing of others that could have been drawn
SHIFTED = ('ece', 'worst_recall')  # extremes and distances: noise moves them one way


def resampled_metrics(
    predictions: Predictions, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, np.ndarray]:
    """Return every metric of every resample, (R,) each.

    Groups (lesions, patients) are drawn with replacement, as many as there are: images
    of one are no independent evidence. With one seed, the resamples of all predictions
    for the same images are the same, so that differences are paired.

    Args:
        predictions: N images.
        resamples: Their number, R.
        seed: Of the draws.
    """
    parts = [
        weighted_metrics(
            predictions.scores, predictions.labels, predictions.classes, weights
        )
        for weights in draw_weights(predictions.groups, resamples, seed)
    ]
    return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


def draw_weights(
    groups: Sequence[str], resamples: int, seed: int
) -> Iterator[np.ndarray]:
    """Yield how often each image is in each resample, (B, N), R resamples in all."""
    _, codes = np.unique(groups, return_inverse=True)
    for times in draw_groups(codes.max() + 1, resamples, seed):
        yield times[:, codes]


def draw_groups(number: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield how often each of G groups is drawn, (B, G), R resamples in all."""
    random = np.random.default_rng(seed)
    for start in range(0, resamples, AT_ONCE):
        size = min(AT_ONCE, resamples - start)
        drawn = random.integers(0, number, (size, number))
        times = [np.bincount(row, minlength=number) for row in drawn]
        yield np.stack(times).astype(float)


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the bounds of the middle 95% of some values; NaN is left out."""
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(values, (tail, 1 - tail))
    return float(low), float(high)


def caution(groups: Sequence[str], labels: np.ndarray, classes: Sequence[str]) -> str:
    """Return what to say of intervals from few groups; nothing if they will do.

    A class of few groups is absent from some resamples, in which means over classes are
    of the others alone: with 3 groups from every twentieth.

    Args:
        groups: Of each image, (N,).
        labels: True class of each image, (N,).
        classes: K names.
    """
    if len(np.unique(groups)) < FEW_GROUPS:
        return (
            f'Fewer than {FEW_GROUPS} groups: the intervals are too narrow, nothing '
            'here is sure.'
        )
    pairs = {(int(label), group) for label, group in zip(labels, groups, strict=True)}
    counts = np.bincount([label for label, _ in pairs], minlength=len(classes))
    few = [
        f'{name} {count}'
        for name, count in zip(classes, counts, strict=True)
        if 0 < count < FEW_GROUPS
    ]
    if not few:
        return ''
    return (
        f'Classes of fewer than {FEW_GROUPS} groups: {", ".join(few)}. Intervals of '
        'means over classes are not sure.'
    )


def interval_of(
    metric: str, measured: float, values: np.ndarray, difference: bool = False
) -> tuple[float, float]:
    """Return the bounds of a metric, or of a difference between runs, in %.

    Noise raises the calibration error and lowers the worst recall, resampling once
    more, so that the truth is on the other side of what was measured. Their interval
    reaches as far to both sides as resamples do to the farther one, within 0..100, or
    -100..100. It is still narrow where all classes are equally hard, or calibration is
    perfect.

    Args:
        metric: Its name.
        measured: On all images, once.
        values: Of each resample, (R,).
        difference: Whether it may be negative.
    """
    low, high = interval(values)
    if metric not in SHIFTED:
        return low, high
    reach = max(measured - low, high - measured)
    lowest = -100.0 if difference else 0.0
    return max(measured - reach, lowest), min(measured + reach, 100.0)
