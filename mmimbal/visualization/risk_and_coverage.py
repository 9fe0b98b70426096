"""How much better answers become if a model leaves images out."""

from collections.abc import Callable, Mapping

import numpy as np

from mmimbal.evaluation.abstention import (
    area_under_risk,
    excess_area_under_risk,
    risk_coverage_of,
)
from mmimbal.evaluation.predictions import Predictions
from mmimbal.visualization import figures
from mmimbal.visualization.measured import measure
from mmimbal.visualization.svg import picture
from mmimbal.visualization.tables import Table

AREAS = dict(AURC=area_under_risk, excess=excess_area_under_risk)


def risk_and_coverage(
    runs: Mapping[str, Predictions], resamples: int
) -> dict[str, object]:
    """Return the risk-coverage curves of runs, and the areas under them.

    Args:
        runs: Predictions by name.
        resamples: Number of resamples of groups (bootstrap).

    Returns:
        ``curves``, a picture, and ``areas``, a table.
    """
    rows = []
    for name, run in runs.items():
        curve = risk_coverage_of(run.scores, run.labels)

        def areas(weights: np.ndarray, curve: Callable = curve) -> dict:
            _, coverage, risk = curve(weights)
            return {name: function(coverage, risk) for name, function in AREAS.items()}

        measured = measure(areas, run.groups, resamples)
        rows.append([name, *(measured.estimate(name) for name in AREAS)])
    return dict(
        curves=picture('Risk and coverage', figures.draw_risk_coverage, runs),
        areas=Table(['run', *AREAS], rows),
    )
