"""Plain text tables, for logs and terminals."""

from collections.abc import Sequence
from statistics import mean, stdev


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; the first column is aligned to the left, others to the right.

    Args:
        header: Names of the columns.
        rows: Cells of each row, as many as in the header.
    """
    table = [list(header), *(list(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    table.insert(1, ['-' * width for width in widths])
    return '\n'.join(
        '  '.join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in table
    )


def mean_and_spread(values: Sequence[float], digits: int = 1) -> str:
    """Return mean ± sample standard deviation; ``-`` without values.

    Args:
        values: One value for each run. For one value there is no deviation.
        digits: Decimals. With 0 there is no deviation.
    """
    if not values:
        return '-'
    spread = digits and len(values) > 1
    deviation = f' ± {stdev(values):.{digits}f}' if spread else ''
    return f'{mean(values):.{digits}f}{deviation}'
