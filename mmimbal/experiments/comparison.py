"""Paired comparison of rows, on the pooled predictions of all folds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array

from mmimbal.evaluation.bootstrap import RESAMPLES, caution, draw_groups
from mmimbal.evaluation.confusion import ConfusionCounts, balanced_accuracy, macro_f1
from mmimbal.experiments.common_runs import common_runs
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
            measured value, then R resamples. With few seeds, a resample may be above
            100.
    """

    rows: Mapping[str, Row]
    not_compared: Sequence[str]
    folds: Mapping[int | None, Images]
    metrics: Mapping[str, Mapping[str, np.ndarray]]

    def caution(self, *names: str) -> str:
        """Return a warning if intervals of rows with these names are unreliable."""
        classes = next(iter(self.folds.values())).classes
        predicted = [
            each for name in names for each in _pooled(self.rows[name], self.folds)
        ]
        return caution(_groups(self.folds), _labels(self.folds), classes, predicted)

    @property
    def groups(self) -> int:
        """Number of groups that are tested."""
        return len(np.unique(_groups(self.folds)))

    @property
    def images(self) -> int:
        """Number of images that are tested; an image of several folds counts once."""
        return sum(len(fold.labels) for fold in _different(self.folds).values())

    @property
    def has_several_tests(self) -> bool:
        """Whether there are folds, each with test images of its own."""
        return 1 < len(self.folds) == len(_different(self.folds))

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
            drawn_counts(labels, predicted, classes, codes, drawn)
            for predicted in _pooled(row, folds)
        ]
        metrics[name] = {
            metric: 100 * mean_over_seeds([function(each) for each in counts])
            for metric, function in JUDGED_BY.items()
        }
    not_compared = [name for name in rows if name not in comparable]
    return Comparison(comparable, not_compared, folds, metrics)


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


def read_folds(
    rows: Iterable[Row], results: Path, dataset: str
) -> dict[int | None, Images]:
    """Read the test images of each fold in some rows.

    Raises:
        FileNotFoundError: If the file of a fold is missing.
        ValueError: If a run was tested on other images, or folds have other classes.
    """
    folds: dict[int | None, Images] = {}
    for row in rows:
        for (fold, seed), run in sorted(row.runs.items(), key=str):
            file = images_file(results, dataset, fold)
            if fold not in folds:
                folds[fold] = read_images(file)
                first = next(iter(folds.values()))
                if folds[fold].classes != first.classes:
                    raise ValueError(
                        f'{file} has the classes {", ".join(folds[fold].classes)}, but '
                        f'another fold has {", ".join(first.classes)}: folds are '
                        'compared with the same classes, in the same order'
                    )
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
    """Return the group of each image, (N,).

    Groups of different folds differ, unless the folds have the same test images.
    """
    first: dict[str, int | None] = {}
    names = (
        np.char.add(
            f'{first.setdefault(images.files, fold)} ', images.groups.astype(str)
        )
        for fold, images in folds.items()
    )
    return np.concatenate(list(names))


def _different(folds: Mapping[int | None, Images]) -> dict[str, Images]:
    """Return the sets of test images, each once."""
    return {images.files: images for images in folds.values()}


def _pooled(row: Row, folds: Mapping[int | None, Images]) -> list[np.ndarray]:
    """Return the predictions of each seed for the images of all folds, (N,) each."""
    seeds = sorted({seed for _, seed in row.runs})
    return [
        np.concatenate([unpack(row.runs[fold, seed]['predicted']) for fold in folds])
        for seed in seeds
    ]
