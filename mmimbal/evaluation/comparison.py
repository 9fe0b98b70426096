"""Rows of results compared in pairs, on the pooled predictions of all folds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mmimbal.evaluation.bootstrap import RESAMPLES, draw_weights
from mmimbal.evaluation.confusion import balanced_accuracy, count_confusions, macro_f1
from mmimbal.evaluation.results import Images, images_file, read_images, unpack
from mmimbal.evaluation.rows import Row

JUDGED_BY = dict(balanced_accuracy=balanced_accuracy, macro_f1=macro_f1)


@dataclass(frozen=True)
class Comparison:
    """Rows of one data set, with the same runs each.

    Attributes:
        rows: By name.
        folds: The test images of each fold.
        found: By name, every metric of :data:`JUDGED_BY` in %: measured once, then
            resampled R times, (1 + R,).
    """

    rows: Mapping[str, Row]
    folds: Mapping[int | None, Images]
    found: Mapping[str, Mapping[str, np.ndarray]]

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
    Of several seeds, the mean. While a grid is not done, rows or folds are left out.

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
    labels = np.concatenate([images.labels for images in folds.values()])
    groups = np.concatenate(
        [
            np.char.add(f'{fold} ', images.groups.astype(str))
            for fold, images in folds.items()
        ]
    )
    classes = len(next(iter(folds.values())).classes)
    predictions = {name: _pooled(row, folds) for name, row in whole.items()}
    parts: dict[str, dict[str, list]] = {
        name: {metric: [] for metric in JUDGED_BY} for name in whole
    }
    once = np.ones((1, len(labels)))
    for weights in (once, *draw_weights(groups, resamples, seed=0)):
        for name, seeds in predictions.items():
            confusions = [
                count_confusions(labels, predicted, classes, weights)
                for predicted in seeds
            ]
            for metric, function in JUDGED_BY.items():
                values = [100 * function(confusion) for confusion in confusions]
                parts[name][metric].append(np.mean(values, axis=0))
    found = {
        name: {metric: np.concatenate(values) for metric, values in by_metric.items()}
        for name, by_metric in parts.items()
    }
    return Comparison(whole, folds, found)


def common_runs(rows: Mapping[str, Row]) -> dict[str, Row]:
    """Return rows with the runs that they have in common; some may be left out.

    Of the folds that rows have for all their seeds, those are taken that keep most.
    """

    def complete_folds(row: Row) -> set:
        seeds = {seed for _, seed in row.runs}
        found = row.predicted
        return {
            fold for fold, _ in found if all((fold, seed) in found for seed in seeds)
        }

    complete = {name: complete_folds(row) for name, row in rows.items()}

    def runs_kept(folds: set) -> int:
        return len(folds) * sum(folds <= there for there in complete.values())

    folds = max(complete.values(), key=runs_kept)
    return {
        name: replace(
            row, runs={key: run for key, run in row.runs.items() if key[0] in folds}
        )
        for name, row in rows.items()
        if complete[name] >= folds
    }


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


def _pooled(row: Row, folds: Mapping[int | None, Images]) -> list[np.ndarray]:
    """Return what each seed predicts for the images of all folds, (N,) each."""
    seeds = sorted({seed for _, seed in row.runs})
    return [
        np.concatenate([unpack(row.runs[fold, seed]['predicted']) for fold in folds])
        for seed in seeds
    ]
