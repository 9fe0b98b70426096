"""Predictions for each test image as CSV, for statistics of your own."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mmimbal.experiments.comparison import Comparison
from mmimbal.experiments.folds import labels_of, predictions_of
from mmimbal.files.atomic import check_is_no_file
from mmimbal.files.csv_file import write_columns


def write_per_image(comparisons: Mapping[str, Comparison], folder: Path) -> list[Path]:
    """Write a CSV file for each data set, with a row for each test image.

    Columns are ``fold``, ``image`` (its number in the fold), ``group`` (its number in
    the fold), ``label``, and the predicted class of each row and seed that is compared,
    such as ``ce + crt, seed 0``. Classes are names.

    Args:
        comparisons: Comparison of each data set.
        folder: Folder of the files.

    Returns:
        The files.
    """
    check_is_no_file(folder)
    files = []
    for dataset, comparison in comparisons.items():
        file = folder / f'{dataset}.csv'
        write_columns(columns_of(comparison), file)
        files.append(file)
    return files


def columns_of(comparison: Comparison) -> dict[str, np.ndarray]:
    """Return the columns of a data set, (N,) each."""
    folds = comparison.folds
    classes = np.array(next(iter(folds.values())).classes)
    parts = [
        (np.full(len(images.labels), 'split' if fold is None else fold), images)
        for fold, images in folds.items()
    ]
    columns = dict(
        fold=np.concatenate([numbers for numbers, _ in parts]),
        image=np.concatenate([np.arange(len(images.labels)) for _, images in parts]),
        group=np.concatenate([images.groups for _, images in parts]),
        label=classes[labels_of(folds)],
    )
    for name, row in comparison.rows.items():
        for seed, predicted in predictions_of(row, folds).items():
            columns[f'{name}, seed {seed}'] = classes[predicted]
    return columns
