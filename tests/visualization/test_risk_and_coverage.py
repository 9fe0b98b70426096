"""Risk and coverage of runs, from their predictions."""

from dataclasses import replace

import numpy as np
import pytest

from mmimbal.evaluation.bootstrap import draw_weights
from mmimbal.visualization.figures import draw_risk_coverage
from mmimbal.visualization.risk_and_coverage import risk_and_coverage
from tests.visualization.test_measured_decisions import predictions

RESAMPLES = 40


def risks(scores, labels):
    """Return the share of errors among the most confident 1, 2, ... N images."""
    order = np.argsort(-scores.max(1), kind='stable')
    wrong = scores.argmax(1)[order] != labels[order]
    return np.array([wrong[: n + 1].mean() for n in range(len(labels))])


def excess(scores, labels):
    errors = (scores.argmax(1) != labels).sum()
    size = len(labels)
    best = [max(0, n - size + errors) / n for n in range(1, size + 1)]
    return risks(scores, labels).mean() - np.mean(best)


def test_the_areas_are_means_over_images():
    runs = {'one': predictions('test', 1, 200), 'two': predictions('test', 2, 200)}
    found = risk_and_coverage(runs, RESAMPLES)['areas']
    assert found.header == ['run', 'AURC', 'excess']
    for (name, area, over), run in zip(found.rows, runs.values(), strict=True):
        assert runs[name] is run
        assert area.value == pytest.approx(100 * risks(run.scores, run.labels).mean())
        assert over.value == pytest.approx(100 * excess(run.scores, run.labels))
        # Images that are drawn twice are answered together: a step of the curve.
        drawn = []
        for weights in np.concatenate(list(draw_weights(run.groups, RESAMPLES, 0))):
            images = np.repeat(np.arange(200), weights.astype(int))
            images = images[np.argsort(-run.scores[images].max(1), kind='stable')]
            wrong = run.scores[images].argmax(1) != run.labels[images]
            last = [np.flatnonzero(images == image)[-1] for image in images]
            drawn.append(np.mean([wrong[: end + 1].mean() for end in last]))
        expected = 100 * np.quantile(drawn, (0.025, 0.975))
        assert (area.low, area.high) == pytest.approx(tuple(expected))


def test_the_curve_goes_through_every_image():
    run = predictions('test', 3, 80)
    (line,) = draw_risk_coverage({'one': run}).axes[0].lines
    assert line.get_xdata() == pytest.approx(np.arange(1, 81) / 80)
    assert line.get_ydata() == pytest.approx(risks(run.scores, run.labels))


def test_a_model_without_errors_has_no_risk():
    run = predictions('test', 3, 80)
    right = replace(run, labels=run.scores.argmax(1))
    ((_, area, over),) = risk_and_coverage({'one': right}, RESAMPLES)['areas'].rows
    assert (area.value, over.value) == (0, 0)
