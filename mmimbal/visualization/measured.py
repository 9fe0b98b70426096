"""Metrics of a run, measured and resampled, as cells of tables."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mmimbal.evaluation.bootstrap import groups_of_shares, resample
from mmimbal.evaluation.metrics import measured_once, metrics_of
from mmimbal.evaluation.predictions import Predictions
from mmimbal.visualization.tables import Cell, estimate, estimate_difference


@dataclass(frozen=True)
class RunMetrics:
    """All metrics of a run.

    Attributes:
        measured: Values on all images, in %; without metrics that are not defined.
        resampled: Values of each resample, (R,), in 0..1.
        groups: For shares of images, number of groups that they are measured on.
    """

    measured: Mapping[str, float]
    resampled: Mapping[str, np.ndarray]
    groups: Mapping[str, int] = field(default_factory=dict)

    def estimate(self, metric: str) -> Cell:
        """Return a metric with its interval, ``-`` if it is not defined."""
        if metric not in self.measured:
            return '-'
        return estimate(
            metric,
            self.measured[metric],
            100 * self.resampled[metric],
            self.groups.get(metric),
        )

    def minus(self, other: 'RunMetrics', metric: str, bold: bool) -> Cell:
        """Return a paired difference with its interval, ``-`` if it is not defined."""
        if metric not in self.measured or metric not in other.measured:
            return '-'
        return estimate_difference(
            metric,
            self.measured[metric] - other.measured[metric],
            100 * (self.resampled[metric] - other.resampled[metric]),
            bold,
        )


def measure_run(run: Predictions, resamples: int) -> RunMetrics:
    """Return all metrics of a run, measured and resampled."""
    metrics = metrics_of(run.scores, run.labels, run.classes)
    of_run = measure(metrics, run.groups, resamples)
    return replace(of_run, groups=groups_of_shares(run))


def measure(
    function: Callable[[np.ndarray], Mapping[str, np.ndarray]],
    groups: Sequence[str],
    resamples: int,
) -> RunMetrics:
    """Return what a function measures on all images, and on resamples of the groups.

    Arguments are those of :func:`mmimbal.evaluation.bootstrap.resample`.
    """
    measured = measured_once(function, len(groups))
    return RunMetrics(measured, resample(function, groups, resamples))
