"""A data set to compare methods on: its folder, its folds, what is known of it."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa

from mmimbal.command_line.experiment import BASES
from mmimbal.command_line.prepared import OWN, data_folder, is_prepared
from mmimbal.datasets.checking.check_result import file_hash
from mmimbal.datasets.index_file import (
    encode_labels,
    groups_of_rows,
    known_groups,
    read_classes,
    read_description,
    read_index,
)
from mmimbal.datasets.index_header import names_of_folds, require_columns
from mmimbal.datasets.sources.plan import OF_DOWNLOAD
from mmimbal.datasets.sources.walk import MADE_FROM, OWN_FILES
from mmimbal.datasets.spelling import SPLITS
from mmimbal.datasets.splits import content_hash, folds_by_group, join_groups
from mmimbal.files.atomic import atomic_folder
from mmimbal.files.config_text import read_config
from mmimbal.files.csv_file import write_columns
from mmimbal.files.json_file import read_json, write_json


@dataclass(frozen=True)
class OwnData:
    """A data set and how it is tested.

    Attributes:
        word: Its name in experiments.
        folder: Its folder.
        folds: Numbers of its folds; ``[None]`` for its own split.
        classes: Class names, K.
        counts: For each split of the first fold, images of each class, (K,).
        images: Number of images.
        groups: Number of groups; ``None`` if no groups are known.
        is_official: Whether its own split is one of the download.
        has_split: Whether its column ``split`` has images for training, validation and
            test.
    """

    word: str
    folder: Path
    folds: Sequence[int | None]
    classes: Sequence[str]
    counts: dict[str, np.ndarray]
    images: int
    groups: int | None
    is_official: bool
    has_split: bool = True


def find_data(name: str) -> Path:
    """Return the folder of a prepared data set.

    Args:
        name: Path of the folder, or its name in ``$MMIMBAL_DATA`` or ``data/``.

    Raises:
        FileNotFoundError: If it is not prepared.
    """
    is_path = Path(name).is_dir() or Path(name).name != name
    folder = Path(name) if is_path else data_folder(name)
    if not is_prepared(folder):
        is_there = folder.is_dir()
        src, out = (folder, 'data/own') if is_there else ('IMAGES', folder)
        layout = 'csv' if (folder / 'index.csv').is_file() else 'folders'
        raise FileNotFoundError(
            f'{folder} is no prepared data set: it lacks index.csv or dataset.json. '
            f'Make it with tools/prepare_dataset.py {layout} --src '
            f'{shlex.quote(str(src))} --out {shlex.quote(str(out))}'
        )
    return folder


def check_is_no_other(folder: Path, classes: Sequence[str]) -> None:
    """Raise a ValueError if a data set has the name of another, with other classes."""
    base = BASES / 'datasets' / f'{folder.resolve().name}.py'
    if not base.is_file() or base.stem == OWN:
        return
    number = read_config(base).get('num_classes')
    if number != len(classes):
        raise ValueError(
            f'{folder} has {len(classes)} classes, but {base.stem} is the name of a '
            f'public data set with {number}. Rename the folder'
        )


def describe_data(folder: Path) -> OwnData:
    """Read the index of a data set, and find its folds; its word is its name.

    Raises:
        ValueError: If a fold, or the split of a download, has no images for training,
            for validation or for test.
    """
    table = read_index(folder / 'index.csv')
    classes = read_classes(folder / 'index.csv', table)
    check_is_no_other(folder, classes)
    labels = encode_labels(table, classes, folder / 'index.csv')
    folds = names_of_folds(table.column_names)
    column = folds[0] if folds else 'split'
    # An index without a split gives way to folds, too.
    no_split = column not in table.column_names
    splits = np.array([''] * len(table) if no_split else table[column].to_pylist())
    counts = {
        split: np.bincount(labels[splits == split], minlength=len(classes))
        for split in SPLITS
    }
    origin = read_description(folder / 'index.csv').get('split', '')
    is_official = str(origin).startswith(OF_DOWNLOAD) and not folds
    # A split that is not official gives way to folds.
    columns = ['split'] if is_official else folds
    require_columns(table.column_names, columns, folder / 'index.csv')
    for column in columns:
        check_has_all_splits(table[column].to_pylist(), column, folder)
    check_test_images(table, columns, folder)
    return OwnData(
        folder.resolve().name,
        folder,
        [int(name.removeprefix('fold')) for name in folds] or [None],
        classes,
        counts,
        len(table),
        _number_of_groups(table),
        is_official,
        has_all_splits(table, 'split'),
    )


def has_all_splits(table: pa.Table, column: str) -> bool:
    """Return whether a column is there, and has all splits."""
    return column in table.column_names and set(SPLITS) <= set(
        table[column].to_pylist()
    )


def check_has_all_splits(splits: Sequence[str], column: str, folder: Path) -> None:
    """Raise a ValueError if a split has no images."""
    empty = [split for split in SPLITS if split not in splits]
    if empty:
        raise ValueError(
            f'{folder / "index.csv"}: no image is in {" and in ".join(empty)} by its '
            f'column {column}. Split the images anew (tools/prepare_dataset.py with '
            '--split group, or another number of --folds); classes of fewer than '
            'five groups have none in validation'
        )


def _number_of_groups(table: pa.Table) -> int | None:
    """Return the number of groups; ``None`` if no group is known.

    ``tools/prepare_dataset.py`` writes the name of an image as its group then.
    """
    if 'group' not in table.column_names:
        return None
    files = [PurePosixPath(file) for file in table['file'].to_pylist()]
    known = [
        group
        for group, file in zip(known_groups(table).to_pylist(), files, strict=True)
        if group and group not in (str(file), str(file.relative_to(file.parts[0])))
    ]
    return len(set(known)) + len(files) - len(known) if known else None


def check_test_images(table: pa.Table, columns: Sequence[str], folder: Path) -> None:
    """Raise a ValueError if folds share some of their test images, but not all."""
    cells = (table[column].to_pylist() for column in columns)
    different = {
        frozenset(n for n, split in enumerate(splits) if split == 'test')
        for splits in cells
    }
    if len(frozenset().union(*different)) < sum(map(len, different)):
        raise ValueError(
            f'{folder / "index.csv"}: some images are in the test of several folds, '
            'but not of all: an image must be tested in one fold, or in each'
        )


def with_folds(folder: Path, out: Path, folds: int, seed: int = 0) -> Path:
    """Make a folder of links to a data set, with columns for cross-validation.

    The folder of the data set is not changed.

    Args:
        folder: Folder of the data set.
        out: Folder in which to make one of the same name.
        folds: Number of folds.
        seed: Seed of the folds.

    Returns:
        The new folder. If it exists, it is kept.

    Raises:
        ValueError: If its groups cannot be split, or the folder exists with folds of
            another index or another number of folds.
    """
    target = out / folder.resolve().name
    made_from = dict(index=file_hash(folder / 'index.csv'), folds=folds, seed=seed)
    if target.is_dir():
        note = target / MADE_FROM
        if not note.is_file() or read_json(note) != made_from:
            raise ValueError(
                f'{target} has folds of another index.csv, or another number of folds: '
                f'remove {out.parent}, or choose another --work-dir'
            )
        return target
    table = read_index(folder / 'index.csv')
    classes = read_classes(folder / 'index.csv', table)
    labels = encode_labels(table, classes, folder / 'index.csv')
    files = table['file'].to_pylist()
    groups = groups_of_rows(table).to_pylist()
    contents = [content_hash((folder / file).read_bytes(), file) for file in files]
    made = folds_by_group(labels, join_groups(groups, contents), folds, seed)
    by_fold = {f'fold{k}': fold.tolist() for k, fold in enumerate(made)}
    for column, splits in by_fold.items():
        check_has_all_splits(splits, column, folder)
    columns = table.to_pydict() | by_fold
    with atomic_folder(target) as unfinished:
        for entry in folder.resolve().iterdir():
            if entry.name not in OWN_FILES - {'dataset.json'}:
                (unfinished / entry.name).symlink_to(entry)
        write_columns(columns, unfinished / 'index.csv')
        write_json(made_from, unfinished / MADE_FROM)
    return target
