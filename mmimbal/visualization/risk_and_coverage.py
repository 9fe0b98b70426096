"""How much better answers become if a model leaves images out."""

from collections.abc import Mapping

import numpy as np

from mmimbal.evaluation.abstention import (
    area_under_risk,
    best_area_under_risk,
    risk_coverage_of,
)
from mmimbal.evaluation.predictions import Predictions
from mmimbal.visualization import figures
from mmimbal.visualization.measured import measure
from mmimbal.visualization.svg import picture
from mmimbal.visualization.tables import Table

AREAS = ('AURC', 'excess')


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

        def areas(weights: np.ndarray, run=run, curve=curve) -> dict:
            _, coverage, risk = curve(weights)
            area = area_under_risk(coverage, risk)
            best = best_area_under_risk(run.scores, run.labels, weights)
            return dict(AURC=area, excess=area - best)

        measured = measure(areas, run.groups, resamples)
        rows.append([name, *(measured.estimate(name) for name in AREAS)])
    return dict(
        curves=picture('Risk and coverage', figures.draw_risk_coverage, runs),
        areas=Table(['run', *AREAS], rows),
    )
