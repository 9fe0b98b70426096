"""How much better answers become if a model leaves images out."""

from collections.abc import Mapping

import numpy as np

from mmimbal.evaluation.abstention import area_under_risk, excess_area_under_risk
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

        def areas(weights: np.ndarray, run: Predictions = run) -> dict:
            return {
                area: function(run.scores, run.labels, weights)
                for area, function in AREAS.items()
            }

        measured = measure(areas, run.groups, resamples)
        rows.append([name, *(measured.estimate(area) for area in AREAS)])
    return dict(
        curves=picture('Risk and coverage', figures.draw_risk_coverage, runs),
        areas=Table(['run', *AREAS], rows),
    )
