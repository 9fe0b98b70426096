"""The test images of several folds together."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from mmimbal.experiments.results import Images, images_file, read_images, unpack
from mmimbal.experiments.rows import Row


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


def different(folds: Mapping[int | None, Images]) -> dict[str, Images]:
    """Return the sets of test images, each once."""
    return {images.files: images for images in folds.values()}


def labels_of(folds: Mapping[int | None, Images]) -> np.ndarray:
    """Return the label of each image, one fold after the other, (N,)."""
    return np.concatenate([images.labels for images in folds.values()])


def groups_of(folds: Mapping[int | None, Images]) -> np.ndarray:
    """Return the group of each image, (N,), as numbers from 0 on.

    Groups of different folds differ, unless the folds have the same test images.
    """
    first: dict[str, int | None] = {}
    names = (
        np.char.add(
            f'{first.setdefault(images.files, fold)} ', images.groups.astype(str)
        )
        for fold, images in folds.items()
    )
    return np.unique(np.concatenate(list(names)), return_inverse=True)[1]


def predictions_of(
    row: Row, folds: Mapping[int | None, Images]
) -> dict[int, np.ndarray]:
    """Return the predictions of each seed for the images of all folds, (N,) each."""
    return {
        seed: np.concatenate(
            [unpack(row.runs[fold, seed]['predicted']) for fold in folds]
        )
        for seed in row.seeds
    }
