"""Decisions are measured on test images, and nothing is fitted there."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from mmimbal.evaluation.bootstrap import draw_weights
from mmimbal.evaluation.conformal_coverage import coverage_of_sets
from mmimbal.evaluation.predictions import Predictions
from mmimbal.inference.decisions import Decisions, threshold_text
from mmimbal.inference.fit_decisions import Wanted, fit_decisions
from mmimbal.visualization.measured_decisions import measure_decisions
from mmimbal.visualization.report import build_report
from mmimbal.visualization.tables import Estimate
from tests.evaluation.simulated import CLASSES, distorted, simulate

COSTS = ((0, 2, 1), (9, 0, 3), (2, 1, 0))
WANTED = Wanted(
    sensitivity=dict(melanoma=0.8),
    specificity=dict(nevus=0.7),
    accuracy=0.9,
    confidence=0.9,
    costs=COSTS,
)
RESAMPLES = 60


def predictions(name, seed, images=300) -> Predictions:
    """Return predictions of a model that is too sure; groups of one or two images."""
    probabilities, labels = simulate(np.random.default_rng(seed), images)
    files = np.array([f'{name}/{number}.jpg' for number in range(images)])
    groups = np.array([f'{name} {n - n % 3 // 2}' for n in range(images)])
    return Predictions(distorted(probabilities, 2.5), labels, files, groups, CLASSES)


@pytest.fixture(scope='module')
def decisions():
    return fit_decisions(predictions('cal', 0, 1200), WANTED)


@pytest.fixture(scope='module')
def run():
    return predictions('test', 1)


@pytest.fixture(scope='module')
def measured(decisions, run):
    return measure_decisions(decisions, run, RESAMPLES)


@pytest.fixture(scope='module')
def calibrated(decisions, run):
    return decisions.calibration.apply(run.scores)


def estimate_of(function, run, number=1.0) -> tuple[float, float, float]:
    """Return what a function of indices of images measures, with its interval."""
    images = np.arange(len(run.labels))
    resampled = [
        function(np.repeat(images, weights.astype(int)))
        for part in draw_weights(run.groups, RESAMPLES, 0)
        for weights in part
    ]
    low, high = np.nanquantile(resampled, (0.025, 0.975))
    return number * function(images), number * low, number * high


def close(cell: Estimate, expected) -> bool:
    return (cell.value, cell.low, cell.high) == pytest.approx(expected)


def test_operating_points_image_by_image(measured, decisions, run, calibrated):
    table = measured['points']
    rows = [dict(zip(table.header, row, strict=True)) for row in table.rows]
    for row, fitted in zip(rows, decisions.thresholds, strict=True):
        column = CLASSES.index(fitted.name)
        said = calibrated[:, column] >= fitted.value
        present = run.labels == column

        def share(of, among, said=said, present=present):
            def function(images):
                return of[images][among[images]].mean()

            return estimate_of(function, run, 100)

        assert row['wanted'].startswith(f'{fitted.name}: {fitted.goal} ')
        assert row['promised'] == str(math.floor(1000 * fitted.bound) / 10)
        assert row['threshold, 0 to 1'] == threshold_text(fitted.value, fitted.goal)
        assert close(row['sensitivity'], share(said, present))
        assert close(row['specificity'], share(~said, ~present))
        assert close(row['precision'], share(present, said))
    assert [row['wanted'][-3:] for row in rows] == ['80%', '70%']


def test_answers_image_by_image(measured, decisions, run, calibrated):
    fitted = decisions.abstention
    sure = calibrated.max(1) >= fitted.value
    right = calibrated.argmax(1) == run.labels
    on_calibration, on_test = measured['answers']['table'].rows
    numbers = [f'{100 * fitted.coverage:.1f}', f'{100 * fitted.accuracy:.1f}']
    assert on_calibration == ['calibration images', *numbers]
    assert close(on_test[1], estimate_of(lambda i: sure[i].mean(), run, 100))
    expected = estimate_of(lambda i: right[i][sure[i]].mean(), run, 100)
    assert close(on_test[2], expected)
    assert 0.3 < sure.mean() < 0.99
    assert measured['answers']['wanted'] == '90'
    assert measured['answers']['value'] == threshold_text(fitted.value)


def test_sets_class_by_class(measured, decisions, run, calibrated):
    inside = decisions.sets.apply(calibrated)
    *rows, everything = measured['sets']['table'].rows
    expected = coverage_of_sets(
        inside, run.labels, run.groups, CLASSES, resamples=RESAMPLES
    )
    assert [row[0] for row in rows] == list(CLASSES)
    for name, groups, coverage, size in rows:
        of_class = expected[name]
        assert groups == str(of_class.groups)
        low, high = of_class.coverage_interval
        assert close(coverage, (100 * of_class.coverage, 100 * low, 100 * high))
        assert close(size, (of_class.size, *of_class.size_interval))
    hits = np.array([inside[n, label] for n, label in enumerate(run.labels)])
    assert everything[:2] == ['all images', '200']
    assert close(everything[2], estimate_of(lambda i: hits[i].mean(), run, 100))
    assert close(everything[3], estimate_of(lambda i: inside[i].sum(1).mean(), run))
    assert everything[3].text == f'{inside.sum(1).mean():.2f}'


def test_costs_image_by_image(measured, run, calibrated):
    costs = np.array(COSTS, float)
    usual, least = measured['costs'].rows
    for (_, cell), said in (
        (usual, calibrated.argmax(1)),
        (least, (calibrated @ costs).argmin(1)),
    ):
        paid = costs[run.labels, said]
        assert close(cell, estimate_of(lambda i, paid=paid: paid[i].mean(), run))
    assert least[1].value < usual[1].value


def errors(scores, labels) -> dict:
    """Return functions of the indices of images."""
    top, right = scores.max(1), scores.argmax(1) == labels
    squares = ((scores - np.eye(len(CLASSES))[labels]) ** 2).sum(1)
    losses = -np.log([row[label] for row, label in zip(scores, labels, strict=True)])

    def ece(images):
        bins = np.ceil(15 * top[images]) - 1
        gaps = [
            (bins == b).mean()
            * abs(top[images][bins == b].mean() - right[images][bins == b].mean())
            for b in np.unique(bins)
        ]
        return sum(gaps)

    return {
        'ece': ece,
        'brier': lambda images: squares[images].mean(),
        'log loss': lambda images: losses[images].mean(),
    }


@pytest.mark.parametrize('prevalence', [{}, dict(melanoma=0.5)])
def test_calibration_before_and_after(decisions, run, prevalence):
    """Measured for the shares of classes in the test images, whatever is wanted."""
    if prevalence:
        wanted = replace(WANTED, specificity={}, prevalence=prevalence)
        decisions = fit_decisions(predictions('cal', 0, 1200), wanted)
    found = measure_decisions(decisions, run, RESAMPLES)
    assert found['prevalence'] == bool(prevalence)
    fitted = replace(decisions.calibration, prevalence=None)
    before = errors(run.scores, run.labels)
    after = errors(fitted.apply(run.scores), run.labels)
    rows = found['calibration']['table'].rows
    assert [row[0] for row in rows] == list(before)
    for name, *cells in rows:
        number = 1 if name == 'log loss' else 100
        functions = (
            before[name],
            after[name],
            lambda i, name=name: after[name](i) - before[name](i),
        )
        for cell, function in zip(cells, functions, strict=True):
            value, low, high = estimate_of(function, run, number)
            if name == 'ece':  # made symmetric, as everywhere
                reach = max(value - low, high - value)
                low, high = value - reach, value + reach
                low = low if cell.signed else max(low, 0)
            assert close(cell, (value, low, high)), name
        assert cells[2].value < 0  # calibrated on images of the same kind


def plain(value):
    """Return what was fitted, of what is shown."""
    points, answers = value['points'], value['answers']
    return (
        [row[:3] for row in points.rows],
        answers['wanted'],
        answers['value'],
        answers['table'].rows[0],
        value['notes'],
        value['groups'],
    )


def test_nothing_is_fitted_on_test_images(decisions, run, measured):
    before = decisions.to_dict()
    random = np.random.default_rng(5)
    for changed in (
        replace(run, labels=random.permutation(run.labels)),
        replace(run, scores=random.dirichlet([1, 1, 1], len(run.scores))),
        predictions('others', 7, 90),
    ):
        found = measure_decisions(decisions, changed, RESAMPLES)
        assert plain(found) == plain(measured)
        assert decisions.to_dict() == before
        rows = [each['calibration']['table'].rows for each in (found, measured)]
        assert rows[0] != rows[1]


def test_what_is_decided_for_an_image_depends_on_it_alone(decisions, run, calibrated):
    part = np.array([3, 70, 250])
    alone = decisions.calibrate(run.scores[part])
    assert alone == pytest.approx(calibrated[part])
    cells = np.array(decisions.cells(calibrated))
    assert np.array_equal(decisions.cells(alone), cells[part])


def test_the_page_shows_what_was_fitted_alone(run, decisions):
    everything = build_report({'one': run}, 20, decisions)
    for heading in ('Calibration, before and after', 'Operating points', 'Costs'):
        assert heading in everything
    assert 'Answers for an accuracy of 90%' in everything
    assert 'Prediction sets of 90%, by class' in everything
    assert 'None of the 800 calibration groups is among the test images' in everything
    assert 'one, calibrated' in everything
    nothing = build_report({'one': run}, 20, Decisions(CLASSES))
    assert 'a leak cannot be excluded' in nothing and 'one, calibrated' not in nothing
    assert '<h3>' not in nothing and '<h3>' in everything
    assert 'Decisions of' not in build_report({'one': run}, 20)


def test_decisions_for_other_classes_are_refused(run):
    with pytest.raises(ValueError, match='fitted for the classes'):
        fitted = fit_decisions(predictions('cal', 0), Wanted())
        build_report({'one': replace(run, classes=CLASSES[::-1])}, 20, fitted)


def test_the_prevalences_are_said_where_they_count_and_nowhere_else(run):
    """Answers on calibration images are weighted; test images have other shares."""
    wanted = Wanted(accuracy=0.8, prevalence=dict(nevus=0.9))
    fitted = fit_decisions(predictions('cal', 0, 1200), wanted)
    table = measure_decisions(fitted, run, RESAMPLES)['answers']['table']
    assert table.rows[0][0] == 'calibration images, weighted by the prevalences'
    without = replace(fitted, calibration=replace(fitted.calibration, prevalence=None))
    pages = [build_report({'one': run}, 20, each) for each in (fitted, without)]
    parts = [re.search(r'<h2>Abstention.*?</table>', page, re.S)[0] for page in pages]
    assert parts[0] == parts[1]


def test_shares_of_all_have_an_interval():
    """100% of few groups is not certain to be 100% of others."""
    images = predictions('test', 1, 60)
    right = np.eye(len(CLASSES))[images.labels] * 0.98 + 0.01
    perfect = replace(images, scores=right / right.sum(1, keepdims=True))
    wanted = Wanted(method='none', accuracy=0.9, confidence=0.9)
    fitted = fit_decisions(predictions('cal', 0, 1200), wanted)
    fitted = replace(fitted, abstention=replace(fitted.abstention, value=0.5))
    measured = measure_decisions(fitted, perfect, RESAMPLES)
    groups = len(np.unique(images.groups))
    low = 100 * 0.025 ** (1 / groups)
    for cell in measured['answers']['table'].rows[1][1:]:
        assert (cell.value, cell.low, cell.high) == pytest.approx((100, low, 100))
    cell = measured['sets']['table'].rows[-1][2]
    assert (cell.value, cell.low, cell.high) == pytest.approx((100, low, 100))
