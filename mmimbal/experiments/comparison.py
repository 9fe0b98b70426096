"""Paired comparison of rows, on the pooled predictions of all folds."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array

from mmimbal.evaluation.bootstrap import RESAMPLES, caution, draw_groups
from mmimbal.evaluation.confusion import ConfusionCounts, balanced_accuracy, macro_f1
from mmimbal.experiments.results import Images, images_file, read_images, unpack
from mmimbal.experiments.rows import Row

JUDGED_BY = dict(balanced_accuracy=balanced_accuracy, macro_f1=macro_f1)


@dataclass(frozen=True)
class Comparison:
    """Rows of one data set that have the same folds.

    Attributes:
        rows: Rows by name, with only the runs that are compared.
        not_compared: Names of the other rows: runs are missing or have diverged.
        folds: Test images of each fold.
        metrics: By row and metric of :data:`JUDGED_BY`, values in %, (1 + R,): the
            measured value, then R resamples.
    """

    rows: Mapping[str, Row]
    not_compared: Sequence[str]
    folds: Mapping[int | None, Images]
    metrics: Mapping[str, Mapping[str, np.ndarray]]

    @cached_property
    def caution(self) -> str:
        """Warning if there are too few groups for intervals, else ''."""
        classes = next(iter(self.folds.values())).classes
        return caution(_groups(self.folds), _labels(self.folds), classes)

    @property
    def groups(self) -> int:
        """Number of groups that are tested."""
        return len(np.unique(_groups(self.folds)))

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
        """Return one row minus another, (1 + R,), in percentage points."""
        return self.metrics[name][metric] - self.metrics[other][metric]


def compare(
    rows: Mapping[str, Row], results: Path, dataset: str, resamples: int = RESAMPLES
) -> Comparison:
    """Pool the predictions of all folds, and resample groups (lesions, smears).

    In each resample, all rows are measured on the same images, so differences are
    paired. Values of a row are means over its seeds, which are resampled too: those of
    a method of stage 1 together for all its heads. While a grid is not finished, some
    folds, seeds or rows are not compared; see :func:`common_runs`.

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
    labels = _labels(folds)
    classes = len(next(iter(folds.values())).classes)
    _, codes = np.unique(_groups(folds), return_inverse=True)
    number = codes.max() + 1
    once = np.ones((1, number))
    drawn = np.concatenate([once, *draw_groups(number, resamples, seed=0)])
    # float32: half the memory; small integers stay exact
    drawn = np.ascontiguousarray(drawn.T, dtype=np.float32)
    metrics = {}
    for name, row in comparable.items():
        counts = [
            ConfusionCounts.of(
                drawn_confusions(labels, predicted, classes, codes, drawn)
            )
            for predicted in _pooled(row, folds)
        ]
        metrics[name] = {
            metric: 100
            * mean_over_seeds([function(each) for each in counts], row.method)
            for metric, function in JUDGED_BY.items()
        }
    not_compared = [name for name in rows if name not in comparable]
    return Comparison(comparable, not_compared, folds, metrics)


def mean_over_seeds(values: Sequence[np.ndarray], method: str) -> np.ndarray:
    """Return the mean over seeds; in each resample over seeds that are drawn anew.

    Args:
        values: For each of S seeds, the measured value and R resamples, (1 + R,).
        method: Method of stage 1: rows of a method draw the same seeds.
    """
    stacked = np.stack(values)
    seeds, count = stacked.shape
    if seeds == 1:
        return stacked[0]
    random = np.random.default_rng(zlib.crc32(method.encode()))
    drawn = random.integers(0, seeds, (seeds, count))
    drawn[:, 0] = np.arange(seeds)  # the measured value is that of all seeds
    return np.take_along_axis(stacked, drawn, axis=0).mean(0)


def drawn_confusions(
    labels: np.ndarray,
    predicted: np.ndarray,
    classes: int,
    groups: np.ndarray,
    drawn: np.ndarray,
) -> np.ndarray:
    """Return the confusion matrix of each resample of groups, (B, K, K).

    Args:
        labels: True class of each image, (N,).
        predicted: Predicted class, (N,).
        classes: Number of classes, K.
        groups: Index of the group of each image, (N,).
        drawn: How often each of G groups counts, (G, B), float32.
    """
    cells = labels * classes + predicted
    ones = np.ones(len(labels), np.float32)
    # Sparse: a group has images in few of the K x K cells.
    per_cell = coo_array((ones, (cells, groups)), (classes**2, len(drawn))).tocsr()
    return (per_cell @ drawn).T.astype(float).reshape(-1, classes, classes)


def common_runs(rows: Mapping[str, Row]) -> dict[str, Row]:
    """Select rows and runs so that all rows have the same folds.

    One set of folds is chosen. Within a row, only seeds with runs on all of these folds
    are used. A row is not used if it has no such seed, or if one of these runs has
    diverged. Candidates are the sets of folds of single seeds, and intersections of two
    of them. The candidate with the most runs is chosen; if several have equally many,
    the one with the most rows.
    """

    def folds_by_seed(row: Row) -> dict[int, set]:
        by_seed: dict[int, set] = {}
        for fold, seed in row.runs:
            by_seed.setdefault(seed, set()).add(fold)
        return by_seed

    available = {name: folds_by_seed(row) for name, row in rows.items()}

    def runs_on(folds: set, name: str) -> dict[tuple, dict]:
        """Return the runs of a row to compare; none if one has diverged."""
        seeds = [seed for seed, of_seed in available[name].items() if of_seed >= folds]
        keys = {(fold, seed) for seed in seeds for fold in folds}
        row = rows[name]
        if not keys <= row.predicted:
            return {}
        return {key: run for key, run in row.runs.items() if key in keys}

    def rows_on(folds: set) -> dict[str, Row]:
        selected = {name: runs_on(folds, name) for name in rows}
        return {
            name: replace(rows[name], runs=runs)
            for name, runs in selected.items()
            if runs
        }

    def size(selected: dict[str, Row]) -> tuple[int, int]:
        return sum(len(row.runs) for row in selected.values()), len(selected)

    sets = {frozenset(f) for seeds in available.values() for f in seeds.values()}
    candidates = {a & b for a in sets for b in sets} - {frozenset()}
    ordered = sorted(candidates, key=lambda folds: sorted(map(str, folds)))
    return max(map(rows_on, ordered), key=size, default={})


def read_folds(
    rows: Iterable[Row], results: Path, dataset: str
) -> dict[int | None, Images]:
    """Read the test images of each fold in some rows.

    Raises:
        FileNotFoundError: If the file of a fold is missing.
        ValueError: If a run was tested on other images.
    """
    folds: dict[int | None, Images] = {}
    for row in rows:
        for (fold, seed), run in sorted(row.runs.items(), key=str):
            file = images_file(results, dataset, fold)
            if fold not in folds:
                folds[fold] = read_images(file)
            if run['images'] != folds[fold].files:
                raise ValueError(
                    f'{row.name}, fold {fold}, seed {seed}: its test images differ '
                    f'from {file}. Remove its result and run the grid again'
                )
    return folds


def _labels(folds: Mapping[int | None, Images]) -> np.ndarray:
    """Return the label of each image, one fold after the other, (N,)."""
    return np.concatenate([images.labels for images in folds.values()])


def _groups(folds: Mapping[int | None, Images]) -> np.ndarray:
    """Return the group of each image, (N,); groups of different folds differ."""
    names = (
        np.char.add(f'{fold} ', images.groups.astype(str))
        for fold, images in folds.items()
    )
    return np.concatenate(list(names))


def _pooled(row: Row, folds: Mapping[int | None, Images]) -> list[np.ndarray]:
    """Return the predictions of each seed for the images of all folds, (N,) each."""
    seeds = sorted({seed for _, seed in row.runs})
    return [
        np.concatenate([unpack(row.runs[fold, seed]['predicted']) for fold in folds])
        for seed in seeds
    ]
