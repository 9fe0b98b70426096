"""Write CSV files atomically."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from mmimbal.files.atomic import atomic_write


def write_columns(columns: Mapping[str, Iterable[object]], path: Path) -> None:
    """Write columns, with their names in the first line, in UTF-8.

    Raises:
        ValueError: If columns have different lengths.
    """
    with (
        atomic_write(path) as unfinished,
        open(unfinished, 'w', newline='', encoding='utf-8') as file,
    ):
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
