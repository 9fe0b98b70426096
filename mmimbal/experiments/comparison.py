"""Paired comparison of rows, on the pooled predictions of all folds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array

from mmimbal.evaluation.bootstrap import RESAMPLES, caution, draw_groups
from mmimbal.evaluation.confusion import ConfusionCounts, balanced_accuracy, macro_f1
from mmimbal.experiments.common_runs import common_runs
from mmimbal.experiments.folds import (
    different,
    groups_of,
    labels_of,
    predictions_of,
    read_folds,
)
from mmimbal.experiments.results import Images
from mmimbal.experiments.rows import Row

JUDGED_BY = dict(balanced_accuracy=balanced_accuracy, macro_f1=macro_f1)


@dataclass(frozen=True)
class Comparison:
    """Rows of one data set that have the same folds.

    Attributes:
        rows: Rows by name, with only the runs that are compared.
        not_compared: Names of the other rows: runs are missing or have diverged.
        folds: Test images of each fold.
        by_seed: By row and metric of :data:`JUDGED_BY`, for each seed of the row values
            in %, (1 + R,): the measured value, then R resamples.
    """

    rows: Mapping[str, Row]
    not_compared: Sequence[str]
    folds: Mapping[int | None, Images]
    by_seed: Mapping[str, Mapping[str, Mapping[int, np.ndarray]]]

    @cached_property
    def metrics(self) -> Mapping[str, Mapping[str, np.ndarray]]:
        """By row and metric, means over seeds, (1 + R,).

        With few seeds, a resample may be above 100.
        """
        return {
            name: {m: mean_over_seeds([*seeds.values()]) for m, seeds in row.items()}
            for name, row in self.by_seed.items()
        }

    @cached_property
    def _tested(self) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
        """Group and label of each image, (N,) each, and the class names."""
        classes = next(iter(self.folds.values())).classes
        return groups_of(self.folds), labels_of(self.folds), classes

    @cached_property
    def _few_groups(self) -> str:
        return caution(*self._tested)

    def caution(self, *names: str) -> str:
        """Return a warning if intervals of rows with these names are unreliable.

        There are too few groups, or a row has a recall of 0 or 100% with a seed.
        """
        if self._few_groups or not names:
            return self._few_groups
        rows = (predictions_of(self.rows[name], self.folds) for name in names)
        return caution(*self._tested, [seed for row in rows for seed in row.values()])

    @property
    def groups(self) -> int:
        """Number of groups that are tested."""
        return len(np.unique(self._tested[0]))

    @property
    def images(self) -> int:
        """Number of images that are tested; an image of several folds counts once."""
        return sum(len(fold.labels) for fold in different(self.folds).values())

    @property
    def has_several_tests(self) -> bool:
        """Whether there are folds, each with test images of its own."""
        return 1 < len(self.folds) == len(different(self.folds))

    @property
    def test_to_train(self) -> float | None:
        """Test images for each training image, as a corrected t-test needs it.

        ``None`` if there are no two folds, folds test on the same images, or the number
        of training images is not known.
        """
        folds = list(self.folds.values())
        if not self.has_several_tests or not all(fold.train for fold in folds):
            return None
        return sum(len(fold.labels) for fold in folds) / sum(f.train for f in folds)

    @property
    def resamples(self) -> int:
        """Number of resamples, R."""
        return len(next(iter(self.metrics.values()))['balanced_accuracy']) - 1

    @property
    def best_plain(self) -> str | None:
        """The best row on test images without metric learning."""
        plain = [name for name, row in self.rows.items() if not row.has_metric_loss]
        return max(
            plain,
            key=lambda name: self.metrics[name]['balanced_accuracy'][0],
            default=None,
        )

    def difference(self, name: str, other: str, metric: str) -> np.ndarray:
        """Return one row minus another, (1 + R,), in percentage points.

        It is of the seeds that both have, see :meth:`seeds_of`.
        """

        def values(row: str, seeds: Sequence[int]) -> np.ndarray:
            return mean_over_seeds([self.by_seed[row][metric][seed] for seed in seeds])

        ours, theirs = self.seeds_of(name, other)
        return values(name, ours) - values(other, theirs)

    def seeds_of(self, name: str, other: str) -> tuple[list[int], list[int]]:
        """Return the seeds on which two rows are compared: those that both have.

        Otherwise the variance over seeds of one row alone would be in the difference.
        If they have none in common, these are all seeds of each.
        """
        ours, theirs = self.rows[name].seeds, self.rows[other].seeds
        common = [seed for seed in ours if seed in theirs]
        return (common, common) if common else (ours, theirs)

    @property
    def methods_with_other_seeds(self) -> list[str]:
        """Methods of stage 1 that have other seeds than the row with the most."""
        rows = self.rows.values()
        most = max((row.seeds for row in rows), key=len)
        return sorted({row.method for row in rows if row.seeds != most})


def compare(
    rows: Mapping[str, Row], results: Path, dataset: str, resamples: int = RESAMPLES
) -> Comparison:
    """Pool the predictions of all folds, and resample groups (lesions, smears).

    In each resample, all rows are measured on the same images, so differences are
    paired. Values of a row are means over its seeds, which are resampled too: those of
    a method of stage 1 together for all its heads. Two rows are compared on the seeds
    that both have. While a grid is not finished, some folds, seeds or rows are not
    compared; see :func:`common_runs`.

    Args:
        rows: Rows of one data set, by name.
        results: Folder of the grid's results, with its ``images/``.
        dataset: Name of the data set.
        resamples: Number of resamples, R.

    Raises:
        FileNotFoundError: If the test images of a fold are missing.
        ValueError: If a run was tested on other images.
    """
    comparable = common_runs(rows)
    folds = read_folds(comparable.values(), results, dataset)
    labels = labels_of(folds)
    classes = len(next(iter(folds.values())).classes)
    codes = groups_of(folds)
    number = codes.max() + 1
    once = np.ones((1, number))
    drawn = np.concatenate([once, *draw_groups(number, resamples, seed=0)])
    # float32: half the memory; small integers stay exact
    drawn = np.ascontiguousarray(drawn.T, dtype=np.float32)
    by_seed = {}
    for name, row in comparable.items():
        counts = {
            seed: drawn_counts(labels, predicted, classes, codes, drawn)
            for seed, predicted in predictions_of(row, folds).items()
        }
        by_seed[name] = {
            metric: {seed: 100 * function(each) for seed, each in counts.items()}
            for metric, function in JUDGED_BY.items()
        }
    not_compared = [name for name in rows if name not in comparable]
    return Comparison(comparable, not_compared, folds, by_seed)


def mean_over_seeds(values: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean over seeds; in each resample over seeds that are drawn anew.

    Rows with as many seeds draw the same ones, so that differences are paired; others
    draw independently. The mean of S drawn seeds has only ``(S - 1) / S`` of the
    variance of S new ones; this is corrected. With few seeds, an interval is too narrow
    nevertheless.

    Args:
        values: For each of S seeds, the measured value and R resamples, (1 + R,).
    """
    stacked = np.stack(values)
    seeds, count = stacked.shape
    center = stacked.mean(0)
    if seeds == 1:
        return center
    drawn = np.random.default_rng(seeds).integers(0, seeds, (seeds, count))
    drawn[:, 0] = np.arange(seeds)  # the measured value is that of all seeds
    deviation = np.take_along_axis(stacked, drawn, axis=0).mean(0) - center
    return center + np.sqrt(seeds / (seeds - 1)) * deviation


def drawn_counts(
    labels: np.ndarray,
    predicted: np.ndarray,
    classes: int,
    groups: np.ndarray,
    drawn: np.ndarray,
) -> ConfusionCounts:
    """Return the images of each class in each resample of groups, (B, K) each.

    Args:
        labels: True class of each image, (N,).
        predicted: Predicted class, (N,).
        classes: Number of classes, K.
        groups: Index of the group of each image, (N,).
        drawn: How often each of G groups counts, (G, B), float32.
    """

    def count(of: np.ndarray, groups: np.ndarray) -> np.ndarray:
        ones = np.ones(len(of), np.float32)
        # Sparse: a group has images of few classes.
        per_class = coo_array((ones, (of, groups)), (classes, len(drawn))).tocsr()
        return (per_class @ drawn).T.astype(float)

    right = labels == predicted
    return ConfusionCounts(
        count(labels[right], groups[right]),
        count(labels, groups),
        count(predicted, groups),
    )
