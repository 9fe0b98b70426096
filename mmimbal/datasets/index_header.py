"""The columns of an ``index.csv``."""

import re
from collections.abc import Iterable
from pathlib import Path

from mmimbal.datasets.spelling import spelling_key

FOLD = re.compile(r'fold\d+')
COLUMNS = ('file', 'label', 'group', 'split')


def check_header(header: list[str], index: Path) -> None:
    """Raise a ValueError if columns are missing, named twice or in another way."""
    refuse_other_separators(header, index)
    refuse_other_spellings(header, index)
    require_columns(header, ('file', 'label'), index)
    if len(set(header)) != len(header):
        twice = sorted({name for name in header if header.count(name) > 1})
        raise ValueError(
            f'{index} names a column twice: {", ".join(map(repr, twice))}. Empty '
            "columns at the end of a table have the name '': remove them"
            if '' in twice
            else f'{index} names a column twice: {", ".join(twice)}'
        )


def require_columns(columns: Iterable[str], needed: Iterable[str], index: Path) -> None:
    """Raise a ValueError that names the missing columns of a CSV file."""
    missing = [column for column in needed if column not in columns]
    if missing:
        raise ValueError(
            f'{index} has no column {", ".join(missing)}; its columns are: '
            f'{", ".join(columns) or "none"}'
        )


def refuse_other_separators(header: list[str], index: Path) -> None:
    """Raise a ValueError if columns are separated by semicolons or tabs."""
    line = header[0] if len(header) == 1 else ''
    for separator, name in ((';', 'semicolons'), ('\t', 'tabs')):
        if separator in line:
            raise ValueError(
                f'{index} has {name} between its columns: save it with commas'
            )


def refuse_other_spellings(header: list[str], index: Path) -> None:
    """Raise a ValueError if a column would be overlooked, such as ``Group``."""
    for name in header:
        if spelling_key(name) in COLUMNS and name not in COLUMNS:
            raise ValueError(
                f'{index}: the column {name!r} must be written {spelling_key(name)!r}'
            )


def names_of_folds(names: Iterable[str]) -> list[str]:
    """Return the names ``fold0``, ``fold1``, ... among some, by their numbers."""
    folds = [name for name in names if FOLD.fullmatch(name)]
    return sorted(folds, key=lambda name: int(name.removeprefix('fold')))
