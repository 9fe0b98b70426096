"""Rows of results compared in pairs, on the pooled predictions of all folds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from mmimbal.evaluation.bootstrap import RESAMPLES, caution, draw_groups
from mmimbal.evaluation.confusion import balanced_accuracy, macro_f1
from mmimbal.experiments.results import Images, images_file, read_images, unpack
from mmimbal.experiments.rows import Row

JUDGED_BY = dict(balanced_accuracy=balanced_accuracy, macro_f1=macro_f1)


@dataclass(frozen=True)
class Comparison:
    """Rows of one data set, with the same runs each.

    Attributes:
        rows: By name, with the runs that are compared.
        left_out: Names of the other rows: runs are missing, or have diverged.
        folds: The test images of each fold.
        found: By name, every metric of :data:`JUDGED_BY` in %: measured once, then
            resampled R times, (1 + R,).
    """

    rows: Mapping[str, Row]
    left_out: Sequence[str]
    folds: Mapping[int | None, Images]
    found: Mapping[str, Mapping[str, np.ndarray]]

    @cached_property
    def caution(self) -> str:
        """What to say of the intervals, if groups are few."""
        classes = next(iter(self.folds.values())).classes
        return caution(_groups(self.folds), _labels(self.folds), classes)

    @property
    def resamples(self) -> int:
        """Their number, R."""
        return len(next(iter(self.found.values()))['balanced_accuracy']) - 1

    @property
    def best_plain(self) -> str | None:
        """The row without metric learning that does best on test images."""
        plain = [name for name, row in self.rows.items() if not row.metric]
        return max(
            plain,
            key=lambda name: self.found[name]['balanced_accuracy'][0],
            default=None,
        )

    def difference(self, name: str, other: str, metric: str) -> np.ndarray:
        """Return by how much one row is above another, (1 + R,), in points."""
        return self.found[name][metric] - self.found[other][metric]


def compare(
    rows: Mapping[str, Row], results: Path, dataset: str, resamples: int = RESAMPLES
) -> Comparison:
    """Pool the predictions of folds, and resample groups (lesions, smears).

    In each resample, all rows are judged on the same images: differences are paired.
    Of several seeds, the mean. While a grid is not done, folds, seeds or rows are left
    out.

    Args:
        rows: Of one data set, by name.
        results: Folder of the grid's results, with its ``images/``.
        dataset: Its name.
        resamples: Their number, R.

    Raises:
        FileNotFoundError: If the test images of a fold are missing.
        ValueError: If a run was tested on other images.
    """
    whole = common_runs(rows)
    folds = read_folds(whole.values(), results, dataset)
    labels = _labels(folds)
    classes = len(next(iter(folds.values())).classes)
    _, codes = np.unique(_groups(folds), return_inverse=True)
    number = codes.max() + 1
    once = np.ones((1, number))
    drawn = np.concatenate([once, *draw_groups(number, resamples, seed=0)])
    drawn = drawn.astype(np.float32)  # counts stay exact, half the memory
    found = {}
    for name, row in whole.items():
        confusions = [
            drawn_confusions(labels, predicted, classes, codes, drawn)
            for predicted in _pooled(row, folds)
        ]
        found[name] = {
            metric: 100 * np.mean([function(each) for each in confusions], axis=0)
            for metric, function in JUDGED_BY.items()
        }
    left_out = [name for name in rows if name not in whole]
    return Comparison(whole, left_out, folds, found)


def drawn_confusions(
    labels: np.ndarray,
    predicted: np.ndarray,
    classes: int,
    groups: np.ndarray,
    drawn: np.ndarray,
) -> np.ndarray:
    """Return the confusion matrix of each draw of groups, (B, K, K).

    Args:
        labels: True class of each image, (N,).
        predicted: Predicted class, (N,).
        classes: Their number, K.
        groups: Number of the group of each image, (N,).
        drawn: How often each of G groups counts, (B, G), float32.
    """
    cells = classes * classes
    places = groups * cells + labels * classes + predicted
    of_groups = np.bincount(places, minlength=drawn.shape[1] * cells)
    of_groups = of_groups.reshape(-1, cells).astype(np.float32)
    return (drawn @ of_groups).astype(float).reshape(-1, classes, classes)


def common_runs(rows: Mapping[str, Row]) -> dict[str, Row]:
    """Return rows with the same folds each; some may be left out.

    Of the folds that some seed of some row has, or that two of them share, those are
    taken that keep most runs, of equals those that keep most rows. A seed that lacks
    one of them does not count; a row is left out if none is left, or if a run of theirs
    has diverged.
    """

    def folds_by_seed(row: Row) -> dict[int, set]:
        found: dict[int, set] = {}
        for fold, seed in row.runs:
            found.setdefault(seed, set()).add(fold)
        return found

    there = {name: folds_by_seed(row) for name, row in rows.items()}

    def kept(name: str, folds: set) -> dict[tuple, dict]:
        """Return the runs of a row that are compared; none if one has diverged."""
        seeds = [seed for seed, found in there[name].items() if found >= folds]
        keys = {(fold, seed) for seed in seeds for fold in folds}
        row = rows[name]
        if not keys <= row.predicted:
            return {}
        return {key: run for key, run in row.runs.items() if key in keys}

    def all_kept(folds: set) -> dict[str, Row]:
        found = {name: kept(name, folds) for name in rows}
        return {
            name: replace(rows[name], runs=runs) for name, runs in found.items() if runs
        }

    def size(found: dict[str, Row]) -> tuple[int, int]:
        return sum(len(row.runs) for row in found.values()), len(found)

    found = {frozenset(f) for seeds in there.values() for f in seeds.values()}
    candidates = {a & b for a in found for b in found} - {frozenset()}
    ordered = sorted(candidates, key=lambda folds: sorted(map(str, folds)))
    return max(map(all_kept, ordered), key=size, default={})


def read_folds(
    rows: Iterable[Row], results: Path, dataset: str
) -> dict[int | None, Images]:
    """Return the test images of each fold of some rows.

    Raises:
        FileNotFoundError: If they are missing.
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
                    f'{row.name}, fold {fold}, seed {seed}: its test images are not '
                    f'those of {file}; remove its result and run the grid again'
                )
    return folds


def _labels(folds: Mapping[int | None, Images]) -> np.ndarray:
    """Return the label of each image, one fold after the other, (N,)."""
    return np.concatenate([images.labels for images in folds.values()])


def _groups(folds: Mapping[int | None, Images]) -> np.ndarray:
    """Return the group of each image, (N,); those of folds are apart."""
    named = (np.char.add(f'{k} ', of.groups.astype(str)) for k, of in folds.items())
    return np.concatenate(list(named))


def _pooled(row: Row, folds: Mapping[int | None, Images]) -> list[np.ndarray]:
    """Return what each seed predicts for the images of all folds, (N,) each."""
    seeds = sorted({seed for _, seed in row.runs})
    return [
        np.concatenate([unpack(row.runs[fold, seed]['predicted']) for fold in folds])
        for seed in seeds
    ]
