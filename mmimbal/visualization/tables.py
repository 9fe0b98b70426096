"""Tables of metrics with 95% intervals, for the report and the page of results."""

from collections.abc import Sequence
from dataclasses import dataclass

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
    """

    value: float
    low: float
    high: float
    signed: bool = False
    bold: bool = False

    @property
    def text(self) -> str:
        """The value, with one decimal."""
        return f'{self.value:{"+" if self.signed else ""}.1f}'

    @property
    def interval(self) -> str:
        """The interval in brackets."""
        return f'[{self.low:.1f}, {self.high:.1f}]'


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


def estimate(metric: str, measured: float, resampled: np.ndarray) -> Estimate:
    """Return a metric with its interval.

    Args:
        metric: Name of the metric.
        measured: Value on all images, in %.
        resampled: Value of each resample, (R,), in %.
    """
    return Estimate(measured, *interval_of(metric, measured, resampled))


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
