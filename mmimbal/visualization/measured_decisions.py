"""What fitted decisions do on test images."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from mmimbal.evaluation.abstention import answered
from mmimbal.evaluation.calibration import brier, calibration_error, log_loss
from mmimbal.evaluation.conformal_coverage import coverage_of_sets
from mmimbal.evaluation.costs import least_cost_decisions, mean_cost
from mmimbal.evaluation.operating_points import operating_point
from mmimbal.evaluation.predictions import Predictions
from mmimbal.evaluation.recalibration import calibrated
from mmimbal.inference.decisions import Decisions, rounded_down, threshold_text
from mmimbal.visualization import figures
from mmimbal.visualization.measured import RunMetrics, measure
from mmimbal.visualization.svg import picture
from mmimbal.visualization.tables import Estimate, Table

POINT = ('sensitivity', 'specificity', 'precision')
LOG_LOSS = 'log loss'
THRESHOLD = 'threshold, 0 to 1'
ERRORS = {'ece': calibration_error, 'brier': brier, LOG_LOSS: log_loss}
# From a function of weights, (B, N), to what it measures, with intervals.
Measure = Callable[[Callable[[np.ndarray], Mapping[str, np.ndarray]]], RunMetrics]


def measure_decisions(
    decisions: Decisions, run: Predictions, resamples: int, split: str = 'test'
) -> dict[str, object]:
    """Apply decisions to test images, and measure them there.

    Nothing is fitted here: labels of the test images are used to measure alone.

    Args:
        decisions: What was fitted on calibration images.
        run: Predictions for the test images, before any calibration.
        resamples: Number of resamples of groups (bootstrap).
        split: Name of the split of these images.

    Returns:
        Tables, a picture and sentences for the page; ``None`` for what was not fitted.

    Raises:
        ValueError: If the decisions are for other classes.
    """
    in_use = replace(run, scores=decisions.calibrate(run.scores))
    measured = partial(measure, groups=run.groups, resamples=resamples)
    calibration = decisions.calibration
    return dict(
        groups=len(decisions.groups),
        prevalence=calibration is not None and calibration.prevalence is not None,
        calibration=calibration and _calibration(decisions, run, measured),
        points=_points(decisions, in_use, measured),
        answers=decisions.abstention and _answers(decisions, in_use, measured, split),
        sets=decisions.sets and _sets(decisions, in_use, resamples, measured),
        notes=decisions.sets.notes() if decisions.sets else [],
        costs=decisions.costs and _costs(decisions, in_use, measured),
    )


def _calibration(
    decisions: Decisions, run: Predictions, measured: Measure
) -> dict[str, object]:
    """Compare before and after, without the correction for other shares of classes."""
    after = calibrated(run, decisions.calibration)

    def errors_of(each: Predictions) -> RunMetrics:
        return measured(
            lambda weights: {
                name: metric(each.scores, each.labels, weights)
                for name, metric in ERRORS.items()
            }
        )

    errors_before, errors_after = errors_of(run), errors_of(after)
    rows = []
    for name in errors_before.measured:
        cells = [
            errors_before.estimate(name),
            errors_after.estimate(name),
            errors_after.minus(errors_before, name, bold=False),
        ]
        if name == LOG_LOSS:
            cells = [cell.as_number(3) for cell in cells]
        rows.append([name, *cells])
    return dict(
        method=decisions.calibration.method,
        table=Table(['', 'before', 'after', 'difference'], rows),
        reliability=picture(
            'Reliability before and after',
            figures.draw_reliability,
            dict(before=run, after=after),
        ),
    )


def _points(decisions: Decisions, run: Predictions, measured: Measure) -> Table | None:
    rows = []
    for each in decisions.thresholds:
        said = each.apply(run.scores, run.classes)
        present = run.labels == run.classes.index(each.name)
        found = measured(partial(operating_point, said, present))
        seen = dict(zip(POINT, (present, ~present, said), strict=True))
        groups = {name: len(np.unique(run.groups[rows])) for name, rows in seen.items()}
        found = replace(found, groups=groups)
        rows.append(
            [
                f'{each.name}: {each.goal} {100 * each.wanted:.4g}%',
                rounded_down(each.bound),
                threshold_text(each.value, each.goal),
                *(found.estimate(name) for name in POINT),
            ]
        )
    return Table(['wanted', 'promised', THRESHOLD, *POINT], rows) if rows else None


def _answers(
    decisions: Decisions, run: Predictions, measured: Measure, split: str
) -> dict[str, object]:
    fitted, columns = decisions.abstention, ('coverage', 'accuracy')
    on_test = measured(
        lambda weights: dict(
            zip(
                columns,
                answered(run.scores, run.labels, weights, fitted.value),
                strict=True,
            )
        )
    )
    is_answered = run.scores.max(1) >= fitted.value
    groups = [len(np.unique(each)) for each in (run.groups, run.groups[is_answered])]
    on_test = replace(on_test, groups=dict(zip(columns, groups, strict=True)))
    when_fitted = [f'{100 * getattr(fitted, name):.1f}' for name in columns]
    in_use = decisions.calibration and decisions.calibration.prevalence is not None
    weighted = ', weighted by the prevalences' if in_use else ''
    rows = [
        [f'calibration images{weighted}', *when_fitted],
        [f'{split} images', *map(on_test.estimate, columns)],
    ]
    return dict(
        wanted=f'{100 * fitted.wanted:.4g}',
        value=threshold_text(fitted.value),
        table=Table(['', *columns], rows),
    )


def _sets(
    decisions: Decisions, run: Predictions, resamples: int, measured: Measure
) -> dict[str, object]:
    inside = decisions.sets.apply(run.scores, run.classes)
    by_class = coverage_of_sets(
        inside, run.labels, run.groups, run.classes, resamples=resamples
    )
    rows = [
        [
            name,
            str(each.groups),
            Estimate(100 * each.coverage, *(100 * b for b in each.coverage_interval)),
            Estimate(each.size, *each.size_interval, decimals=2),
        ]
        for name, each in by_class.items()
    ]
    hits, sizes = inside[np.arange(len(inside)), run.labels], inside.sum(1)
    everything = measured(
        lambda weights: dict(
            coverage=weights @ hits / weights.sum(1),
            size=weights @ sizes / weights.sum(1),
        )
    )
    groups = len(np.unique(run.groups))
    everything = replace(everything, groups=dict(coverage=groups))
    rows.append(
        [
            'all images',
            str(groups),
            everything.estimate('coverage'),
            everything.estimate('size').as_number(),
        ]
    )
    return dict(
        wanted=f'{100 * decisions.sets.confidence:.4g}',
        table=Table(['class', 'groups', 'coverage', 'mean size'], rows),
    )


def _costs(decisions: Decisions, run: Predictions, measured: Measure) -> Table:
    costs, classes = decisions.costs, run.classes
    said = {
        'the most probable class': run.scores.argmax(1),
        'the class of least expected cost': least_cost_decisions(
            run.scores, costs, classes
        ),
    }
    found = measured(
        lambda weights: {
            name: mean_cost(run.labels, each, costs, classes, weights)
            for name, each in said.items()
        }
    )
    decimals = max(2, 3 - math.ceil(math.log10(np.max(costs) or 1)))
    rows = [[name, found.estimate(name).as_number(decimals)] for name in said]
    return Table(['decision', 'mean cost'], rows)
