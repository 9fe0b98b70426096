"""A download in memory, before it is written with an ``index.csv``."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np


@dataclass(frozen=True)
class Image:
    """One labelled image of a download.

    Attributes:
        path: Path of the file.
        label: Class name.
        group: Group that must not straddle splits; the file itself if ``None``.
        split: Official split, if the download has one.
        name: Path to write to, relative to ``images/``; the file name if ``None``.
        pixels: Function that returns the image, (H, W, 3) in BGR, if ``path`` holds
            more than this image. It is then written as PNG.
    """

    path: Path
    label: str
    group: str | None = None
    split: str | None = None
    name: str | None = None
    pixels: Callable[[], np.ndarray] | None = None


@dataclass(frozen=True)
class Source:
    """The labelled images of a download.

    Attributes:
        images: All labelled images.
        classes: Class names in label order.
        origin: Source of the images.
        licence: Licence of the images.
        left_out: Files that are no images of the data set, by reason.
        unsure: Sentences about what was guessed.
        origin_of_split: Where the split of the images is from; the download if ``''``.
    """

    images: Sequence[Image]
    classes: tuple[str, ...]
    origin: str
    licence: str
    left_out: Mapping[str, Sequence[PurePosixPath]] = field(default_factory=dict)
    unsure: Sequence[str] = ()
    origin_of_split: str = ''


def missing_file(path: Path, layout: str) -> FileNotFoundError:
    """Return the error for a missing file of a download."""
    return FileNotFoundError(f'{path} is missing. Expected in --src: {layout}')


def require_files(src: Path, parts: Sequence[str], layout: str) -> None:
    """Raise a FileNotFoundError that names the first missing part of a download."""
    for part in parts:
        if not (src / part).exists():
            raise missing_file(src / part, layout)


def read_rows(path: Path, key: str) -> dict[str, dict[str, str]]:
    """Read a table of a download.

    Args:
        path: A CSV file in UTF-8.
        key: Column with the names of the images.

    Returns:
        The rows, by the names of that column.

    Raises:
        ValueError: If the column is missing, a name occurs twice, or the file is not in
            UTF-8.
    """
    try:
        with open(path, newline='', encoding='utf-8-sig') as file:
            rows = list(csv.DictReader(file))
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is not in UTF-8: {error}') from None
    if not rows or key not in rows[0]:
        columns = ', '.join(rows[0]) if rows else 'none, as there are no rows'
        raise ValueError(f'{path} has no column {key}; its columns are: {columns}')
    table: dict[str, dict[str, str]] = {}
    for row in rows:
        if row[key] in table:
            raise ValueError(f'{path} lists {row[key]!r} twice')
        table[row[key]] = row
    return table


def one_hot_label(row: dict[str, str], classes: Sequence[str], path: Path) -> str:
    """Return the class whose column holds 1.

    Args:
        row: Row of a table with one column per class, in capitals.
        classes: Class names.
        path: Path of the table, for error messages.

    Raises:
        ValueError: If a column is missing, or not exactly one column holds 1.
    """
    missing = [name.upper() for name in classes if row.get(name.upper()) in (None, '')]
    if missing:
        raise ValueError(f'{path} has no {", ".join(missing)} for {row["image"]}')
    labels = [name for name in classes if float(row[name.upper()]) == 1]
    if len(labels) != 1:
        raise ValueError(
            f'{path} gives {row["image"]} {len(labels)} labels instead of one'
        )
    return labels[0]
