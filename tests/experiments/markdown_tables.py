"""Tables of a Markdown page, read back."""

import re
from pathlib import Path


def tables(page: Path) -> list[list[list[str]]]:
    """Return the tables of a page: lists of rows of cells."""
    page_tables, rows = [], []
    for line in page.read_text().splitlines():
        if line.startswith('|'):
            rows.append([cell.strip() for cell in line.strip('|').split('|')])
        elif rows:
            page_tables.append(rows)
            rows = []
    return [*page_tables, rows] if rows else page_tables


def bounds(cell: str) -> tuple[float, float, float]:
    """Return a value and its interval; a gain is bold if that does not contain 0."""
    value, low, high = map(float, re.findall(r'-?[\d.]+', cell))
    sure = cell.startswith(('+', '-', '*')) and not low < 0 < high
    assert cell.startswith('**') == cell.endswith('**') == sure
    return value, low, high
