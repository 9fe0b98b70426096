"""Find a cell of a CSV file that has no end, so that it takes in the next rows."""

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from mmimbal.datasets.index_header import COLUMNS


def check_quotation_marks(table: pa.Table, index: Path) -> None:
    """Raise a ValueError if a cell is not ended where its quotation marks should be.

    Such a cell would take in the rows that follow. A line break is right in columns
    that are not read, such as remarks.
    """
    broken = [
        name
        for name in table.column_names
        if pc.any(pc.match_substring(table[name], '\n')).as_py()
    ]
    for name in COLUMNS:
        if name in broken:
            breaks = pc.match_substring(table[name], '\n')
            file = table['file'][pc.index(breaks, True).as_py()].as_py()
            raise ValueError(
                f'{index}: the {name} of {file!r} has a line break. Is a quotation '
                'mark missing at its end?'
            )
    if not broken:
        return
    with open(index, newline='', encoding='utf-8-sig') as file, any_field_size():
        rows = csv.reader(file, strict=True)
        while True:
            before = rows.line_num
            try:
                next(rows)
            except StopIteration:
                return
            except csv.Error:
                if rows.line_num == before + 1:
                    continue  # whatever is wrong, it takes in no other line
                raise ValueError(
                    f'{index}: a quotation mark is missing, or one too many, in the '
                    f'row that begins in line {before + 1}'
                ) from None


@contextmanager
def any_field_size() -> Iterator[None]:
    """Let Python's csv read long cells, in a block."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)
