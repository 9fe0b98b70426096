"""What is read from a download, before it is written as an ``index.csv``."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Image:
    """One labelled image of a download.

    Attributes:
        path: Where the file lies.
        label: Name of its class.
        group: What must not straddle splits; the file itself if ``None``.
        split: Of the download, if it has one.
        name: Path below ``images/`` to write it to; its file name if ``None``.
        pixels: Reads it, (H, W, 3) in BGR, where ``path`` is more than this image; it
            is written as PNG then.
    """

    path: Path
    label: str
    group: str | None = None
    split: str | None = None
    name: str | None = None
    pixels: Callable[[], np.ndarray] | None = None


@dataclass(frozen=True)
class Source:
    """A download.

    Attributes:
        images: All labelled images.
        classes: Class names in label order.
        origin: Where it comes from.
        licence: Under which terms.
    """

    images: Sequence[Image]
    classes: tuple[str, ...]
    origin: str
    licence: str


def missing_file(path: Path, layout: str) -> FileNotFoundError:
    """Return the error for a download without one of its files."""
    return FileNotFoundError(f'{path} is missing. Expected in --src: {layout}')


def require_files(src: Path, parts: Sequence[str], layout: str) -> None:
    """Raise a FileNotFoundError that names the first part a download lacks."""
    for part in parts:
        if not (src / part).exists():
            raise missing_file(src / part, layout)


def read_rows(path: Path, key: str) -> dict[str, dict[str, str]]:
    """Read a table of a download.

    Args:
        path: A CSV file in UTF-8.
        key: Column that names an image.

    Returns:
        The rows by that column.

    Raises:
        ValueError: If there is no such column, a name is there twice, or the file is
            not in UTF-8.
    """
    try:
        with open(path, newline='', encoding='utf-8-sig') as file:
            rows = list(csv.DictReader(file))
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is not in UTF-8: {error}') from None
    if not rows or key not in rows[0]:
        found = ', '.join(rows[0]) if rows else 'no rows'
        raise ValueError(f'{path} has no column {key}, but {found}')
    table: dict[str, dict[str, str]] = {}
    for row in rows:
        if row[key] in table:
            raise ValueError(f'{path} lists {row[key]!r} twice')
        table[row[key]] = row
    return table


def one_hot_label(row: dict[str, str], classes: Sequence[str], path: Path) -> str:
    """Return the class whose column holds 1.

    Args:
        row: Of a table with a column for each class, in capitals.
        classes: Class names.
        path: Of the table, for errors.

    Raises:
        ValueError: If a column is missing, or not exactly one holds 1.
    """
    missing = [name.upper() for name in classes if row.get(name.upper()) in (None, '')]
    if missing:
        raise ValueError(f'{path} has no {", ".join(missing)} for {row["image"]}')
    found = [name for name in classes if float(row[name.upper()]) == 1]
    if len(found) != 1:
        raise ValueError(
            f'{path} gives {row["image"]} {len(found)} labels instead of one'
        )
    return found[0]
