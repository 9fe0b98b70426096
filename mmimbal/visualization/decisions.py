"""What fitted decisions do on test images."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mmimbal.evaluation.abstention import answered
from mmimbal.evaluation.calibration import log_loss
from mmimbal.evaluation.conformal_coverage import coverage_of_sets
from mmimbal.evaluation.costs import least_cost_decisions, mean_cost
from mmimbal.evaluation.metrics import CALIBRATION_METRICS
from mmimbal.evaluation.operating_points import operating_point
from mmimbal.evaluation.predictions import Predictions
from mmimbal.inference.decisions import Decisions
from mmimbal.visualization import figures
from mmimbal.visualization.measured import RunMetrics, measure
from mmimbal.visualization.svg import picture
from mmimbal.visualization.tables import Estimate, Table

POINT = ('sensitivity', 'specificity', 'precision')
LOG_LOSS = 'log loss'


def apply_decisions(
    decisions: Decisions, run: Predictions, resamples: int
) -> dict[str, object]:
    """Apply decisions to test images, and measure them there.

    Nothing is fitted here: labels of the test images are used to measure alone.

    Args:
        decisions: What was fitted on calibration images.
        run: Predictions for the test images, before any calibration.
        resamples: Number of resamples of groups (bootstrap).

    Returns:
        Tables, a picture and sentences for the page; ``None`` for what was not fitted.

    Raises:
        ValueError: If the decisions are for other classes.
    """
    scores = decisions.calibrate(run.scores)
    calibrated = replace(run, scores=scores)

    def measured(function: Callable) -> RunMetrics:
        return measure(function, run.groups, resamples)

    calibration = decisions.calibration
    return dict(
        groups=len(decisions.groups),
        prevalence=calibration is not None and calibration.prevalence is not None,
        calibration=calibration and _calibration(decisions, run, measured),
        points=_points(decisions, calibrated, measured),
        answers=decisions.abstention and _answers(decisions, calibrated, measured),
        sets=decisions.sets and _sets(decisions, calibrated, resamples, measured),
        notes=decisions.sets.notes() if decisions.sets else [],
        costs=decisions.costs and _costs(decisions, calibrated, measured),
    )


def _calibration(decisions: Decisions, run: Predictions, measured: Callable) -> dict:
    """Return what calibration changes, for the shares of classes in the test images."""
    fitted = replace(decisions.calibration, prevalence=None)
    scores = fitted.apply(run.scores, run.classes)
    both = dict(before=run, after=replace(run, scores=scores))

    def errors_of(scores: np.ndarray) -> Callable:
        return lambda weights: {
            name: metric(scores, run.labels, weights)
            for name, metric in (CALIBRATION_METRICS | {LOG_LOSS: log_loss}).items()
        }

    before, after = (measured(errors_of(each.scores)) for each in both.values())
    rows = []
    for name in before.measured:
        cells = [before.estimate(name), after.estimate(name)]
        cells.append(after.minus(before, name, bold=False))
        if name == LOG_LOSS:
            cells = [cell.as_number(3) for cell in cells]
        rows.append([name, *cells])
    return dict(
        method=fitted.method,
        table=Table(['', 'before', 'after', 'difference'], rows),
        reliability=picture(
            'Reliability before and after', figures.draw_reliability, both
        ),
    )


def _points(decisions: Decisions, run: Predictions, measured: Callable) -> Table | None:
    rows = []
    for each in decisions.thresholds:
        said = each.apply(run.scores, run.classes)
        present = run.labels == run.classes.index(each.name)
        found = measured(lambda w, s=said, p=present: operating_point(s, p, w))
        wanted = f'{each.name}: {each.goal} {100 * each.wanted:.4g}%'
        promised = f'{100 * each.bound:.1f}'
        cells = [found.estimate(name) for name in POINT]
        rows.append([wanted, promised, f'{each.value:.3f}', *cells])
    return Table(['wanted', 'promised', 'threshold', *POINT], rows) if rows else None


def _answers(decisions: Decisions, run: Predictions, measured: Callable) -> dict:
    fitted = decisions.abstention

    def answers(weights: np.ndarray) -> dict[str, np.ndarray]:
        found = answered(run.scores, run.labels, weights, fitted.value)
        return dict(zip(('coverage', 'accuracy'), found, strict=True))

    on_test = measured(answers)
    rows = [
        [
            'calibration images',
            f'{100 * fitted.coverage:.1f}',
            f'{100 * fitted.accuracy:.1f}',
        ],
        ['test images', on_test.estimate('coverage'), on_test.estimate('accuracy')],
    ]
    return dict(
        wanted=f'{100 * fitted.wanted:.4g}',
        value=f'{fitted.value:.3f}',
        table=Table(['', 'coverage', 'accuracy'], rows),
    )


def _sets(
    decisions: Decisions, run: Predictions, resamples: int, measured: Callable
) -> dict:
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
    size = everything.estimate('size').as_number()
    rows.append(['all images', str(groups), everything.estimate('coverage'), size])
    return dict(
        wanted=f'{100 * decisions.sets.confidence:.4g}',
        table=Table(['class', 'groups', 'coverage', 'mean size'], rows),
    )


def _costs(decisions: Decisions, run: Predictions, measured: Callable) -> Table:
    said = {
        'the most probable class': run.scores.argmax(1),
        'the class of least expected cost': least_cost_decisions(
            run.scores, decisions.costs, run.classes
        ),
    }
    found = measured(
        lambda weights: {
            name: mean_cost(run.labels, each, decisions.costs, run.classes, weights)
            for name, each in said.items()
        }
    )
    rows = [[name, found.estimate(name).as_number()] for name in said]
    return Table(['decision', 'mean cost'], rows)
