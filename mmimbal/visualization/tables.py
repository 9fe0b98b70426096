"""Tables of metrics with 95% intervals, for the report and the page of results."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmimbal.evaluation.bootstrap import interval_of


@dataclass(frozen=True)
class Estimate:
    """A metric in %, or a difference in percentage points, with its 95% interval.

    Attributes:
        value: Value on all images.
        low: Lower bound of the interval.
        high: Upper bound of the interval.
        signed: Whether a positive value has a plus sign, as differences do.
        bold: Whether it is set in bold.
        decimals: Number of decimals.
    """

    value: float
    low: float
    high: float
    signed: bool = False
    bold: bool = False
    decimals: int = 1

    @property
    def text(self) -> str:
        """The value."""
        return number(self.value, self._shown, '+' if self.signed else '')

    @property
    def interval(self) -> str:
        """The interval in brackets."""
        return f'[{number(self.low, self._shown)}, {number(self.high, self._shown)}]'

    @property
    def _shown(self) -> int:
        """Decimals that show on which side of 0 a bold interval is."""
        nearest = min(abs(self.low), abs(self.high))
        decimals = self.decimals
        while self.bold and decimals < 4 and round(nearest, decimals) == 0:
            decimals += 1
        return decimals

    def as_number(self, decimals: int = 2) -> 'Estimate':
        """Return a value that is no percentage, with more decimals."""
        value, low, high = (each / 100 for each in (self.value, self.low, self.high))
        return replace(self, value=value, low=low, high=high, decimals=decimals)


def number(value: float, decimals: int, sign: str = '') -> str:
    """Return a number as text; one that is rounded to 0 has no minus.

    Args:
        value: The number.
        decimals: Number of decimals.
        sign: ``'+'`` to write it before positive numbers.
    """
    rounded = round(value, decimals) + 0.0  # -0.0 + 0.0 is 0.0
    return f'{rounded:{sign}.{decimals}f}'


Cell = str | Estimate


@dataclass(frozen=True)
class Table:
    """A table of plain data.

    Attributes:
        header: Names of the columns.
        rows: Cells of each row, as many as in the header.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def estimate(
    metric: str, measured: float, resampled: np.ndarray, groups: int | None = None
) -> Estimate:
    """Return a metric with its interval.

    Args:
        metric: Name of the metric.
        measured: Value on all images, in %.
        resampled: Value of each resample, (R,), in %.
        groups: As in :func:`mmimbal.evaluation.bootstrap.interval_of`.
    """
    bounds = interval_of(metric, measured, resampled, groups=groups)
    return Estimate(measured, *bounds)


def estimate_difference(
    metric: str, measured: float, resampled: np.ndarray, bold: bool
) -> Estimate:
    """Return a difference with its interval.

    Args:
        metric: Name of the metric.
        measured: Difference on all images, in percentage points.
        resampled: Difference of each resample, (R,), in percentage points.
        bold: Whether it is set in bold if its interval does not contain 0. With few
            groups, intervals are too narrow for this.
    """
    low, high = interval_of(metric, measured, resampled, difference=True)
    return Estimate(measured, low, high, True, bold and (low > 0 or high < 0))
