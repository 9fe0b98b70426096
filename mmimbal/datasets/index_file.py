"""Reading and checking an ``index.csv`` by columns: a million rows in seconds."""

import csv
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

Columns = dict[str, Sequence[str]]


def read_columns(index: Path) -> Columns:
    """Read a CSV file with at least the columns ``file`` and ``label``.

    Returns:
        The cells of each column, in the order of the rows.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not in UTF-8, a column or a cell is missing, a file is
            listed twice, or there are no rows.
    """
    if not index.is_file():
        raise FileNotFoundError(
            f'no dataset at {index}. Make it with tools/prepare_dataset.py, or set '
            'MMIMBAL_DATA to the folder that holds your data sets'
        )
    try:
        with open(index, newline='', encoding='utf-8-sig') as file:
            header, *rows = csv.reader(file, strict=True)
    except UnicodeDecodeError as error:
        raise ValueError(
            f'{index} is not in UTF-8 ({error.reason} at byte {error.start}); save it '
            'as UTF-8'
        ) from None
    except csv.Error as error:
        raise ValueError(f'{index} is not a CSV file: {error}') from None
    except ValueError:
        raise ValueError(f'{index} is empty') from None
    require_columns(header, ('file', 'label'), index)
    if len(set(header)) != len(header):
        raise ValueError(f'{index} names a column twice: {", ".join(header)}')
    rows = [row for row in rows if row]
    if not rows:
        raise ValueError(f'{index} has a header but no rows')
    if set(map(len, rows)) != {len(header)}:
        number = next(n for n, row in enumerate(rows, 2) if len(row) != len(header))
        raise ValueError(
            f'{index}, row {number}: {len(rows[number - 2])} cells, but the header has '
            f'{len(header)}: a file and a label are needed, and quotes around commas'
        )
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    for name in ('file', 'label'):
        if '' in columns[name]:
            number = columns[name].index('') + 2
            raise ValueError(f'{index}, row {number}: a file and a label are needed')
    refuse_duplicates(columns['file'], index)
    return columns


def refuse_duplicates(files: Sequence[str], index: Path) -> None:
    """Raise a ValueError that names the first file that is listed twice."""
    if len(set(files)) == len(files):
        return
    seen: set[str] = set()
    twice = next(file for file in files if file in seen or seen.add(file))
    raise ValueError(f'{index} lists {twice!r} more than once')


def require_columns(found: Iterable[str], wanted: Iterable[str], index: Path) -> None:
    """Raise a ValueError that names the columns a CSV file lacks."""
    missing = [column for column in wanted if column not in found]
    if missing:
        raise ValueError(
            f'{index} has no column {", ".join(missing)}; its columns are: '
            f'{", ".join(found) or "none"}'
        )


def read_classes(index: Path, labels: Iterable[str]) -> tuple[str, ...]:
    """Return the class names: of ``dataset.json``, else the sorted labels."""
    description = index.with_name('dataset.json')
    if description.is_file():
        return tuple(json.loads(description.read_text(encoding='utf-8'))['classes'])
    labels = set(labels)
    if all(label.isdecimal() for label in labels):
        return tuple(str(label) for label in range(max(map(int, labels)) + 1))
    return tuple(sorted(labels))


def select_split(columns: Columns, split: str | None, index: Path) -> Columns:
    """Return the rows of a split.

    Raises:
        ValueError: If the CSV has no ``split`` column or no row of that split.
    """
    if split is None:
        return columns
    require_columns(columns, ('split',), index)
    chosen = [found == split for found in columns['split']]
    if not any(chosen):
        found = ', '.join(sorted(set(columns['split'])))
        raise ValueError(f'{index} has no split {split!r}; its splits are: {found}')
    return {
        name: [cell for cell, wanted in zip(cells, chosen, strict=True) if wanted]
        for name, cells in columns.items()
    }


def encode_labels(
    columns: Columns, classes: tuple[str, ...], index: Path
) -> np.ndarray:
    """Turn class names, or else indices, into indices, (N,).

    Raises:
        ValueError: If the labels are neither all class names nor all indices.
    """
    labels = set(columns['label'])
    codes = {name: code for code, name in enumerate(classes)}
    if not labels <= codes.keys() and all(label.isdecimal() for label in labels):
        codes = {str(code): code for code in range(len(classes))}
    unknown = sorted(labels - codes.keys())
    if unknown:
        first = columns['file'][columns['label'].index(unknown[0])]
        raise ValueError(
            f'{index} has labels that are no class: {", ".join(map(repr, unknown))} '
            f'(first at file {first!r}). The {len(classes)} classes are: '
            f'{", ".join(classes)}'
        )
    return np.array([codes[label] for label in columns['label']])


def check_paths(files: Iterable[str], index: Path) -> None:
    """Raise a ValueError if a path is absolute or leaves the folder of the CSV."""
    for file in files:
        if file[0] == '/' or '..' in file:
            path = PurePosixPath(file)
            if path.is_absolute() or '..' in path.parts:
                raise ValueError(f'{index} lists {file!r}, outside its own folder')


def check_files(files: Sequence[str], index: Path) -> None:
    """Check that every image is there.

    Each folder is listed once, so that a million images take seconds.

    Raises:
        FileNotFoundError: If an image is missing.
    """
    folders: dict[str, set[str]] = {}
    missing = []
    for file in files:
        folder, _, name = file.rpartition('/')
        if folder not in folders:
            path = index.parent / folder
            folders[folder] = set(os.listdir(path)) if path.is_dir() else set()
        if name not in folders[folder]:
            missing.append(file)
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of the {len(files)} images that {index} lists are '
            f'missing, the first is {index.parent / missing[0]}'
        )


def check_no_class_is_empty(
    labels: np.ndarray, classes: tuple[str, ...], where: str
) -> None:
    """Raise a ValueError that names the classes without an image to train on."""
    counts = np.bincount(labels, minlength=len(classes))
    empty = [name for name, count in zip(classes, counts, strict=True) if not count]
    if empty:
        raise ValueError(
            f'no image to train on for class {", ".join(empty)} in {where}; add '
            'images, or name the classes there are in a dataset.json beside it'
        )
