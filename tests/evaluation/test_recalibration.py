from dataclasses import replace

import numpy as np
import pytest

from mmimbal.evaluation.recalibration import Calibration, with_prevalence
from tests.evaluation.simulated import CLASSES, PRIOR, simulate

PLAIN = Calibration(CLASSES, 'temperature', (1.0,) * 3, (0.0,) * 3, PRIOR)


def test_each_row_by_hand():
    fitted = replace(PLAIN, scale=(0.5, 1.0, 2.0), shift=(0.1, 0.0, -0.3))
    probabilities, _ = simulate(np.random.default_rng(0), 20)
    for row, found in zip(probabilities, fitted.apply(probabilities), strict=True):
        powers = [row[0] ** 0.5 * np.exp(0.1), row[1], row[2] ** 2 * np.exp(-0.3)]
        assert found == pytest.approx(np.array(powers) / sum(powers))


def test_no_change_and_no_images():
    probabilities, _ = simulate(np.random.default_rng(0), 20)
    assert PLAIN.apply(probabilities) == pytest.approx(probabilities)
    assert PLAIN.apply(np.eye(3)) == pytest.approx(np.eye(3))
    assert PLAIN.apply(np.empty((0, 3))).shape == (0, 3)


def test_probabilities_are_true_where_classes_have_other_shares():
    new = (0.2, 0.3, 0.5)
    random = np.random.default_rng(0)
    believed, labels = simulate(random, 3000, prior=new, assumed=PRIOR)
    shares = dict(zip(CLASSES, new, strict=True))
    found = with_prevalence(PLAIN, shares).apply(believed)
    expected = believed * np.array(new) / np.array(PRIOR)
    assert found == pytest.approx(expected / expected.sum(1, keepdims=True))
    assert believed.mean(0)[2] < 0.4
    assert found.mean(0) == pytest.approx(np.bincount(labels) / 3000, abs=0.02)


def test_classes_without_a_prevalence_divide_the_rest():
    fitted = with_prevalence(PLAIN, dict(melanoma=0.04))
    assert fitted.prevalence == pytest.approx((0.96 * 7 / 8, 0.04, 0.96 * 1 / 8))
    again = with_prevalence(fitted, dict(melanoma=0.2))  # as in the calibration images
    assert again.prevalence == pytest.approx(PRIOR)
    probabilities, _ = simulate(np.random.default_rng(0), 20)
    assert again.apply(probabilities) == pytest.approx(probabilities)


@pytest.mark.parametrize(
    ('prevalence', 'message'),
    [
        (dict(mole=0.1), r"nevus, melanoma, scar, got \['mole'\]"),
        ({}, r'got \[\]'),
        (dict(scar=0.0), 'prevalence of scar .* got 0'),
        (dict(scar=float('nan')), 'prevalence of scar .* got nan'),
        (dict(scar=0.6, nevus=0.5), 'sum 1.1, expected less than 1'),
        (dict(scar=0.5, nevus=0.5), 'sum 1, expected less than 1'),
        (dict(scar=0.2, nevus=0.2, melanoma=0.2), 'sum 0.6, expected 1'),
    ],
)
def test_bad_prevalences_are_told(prevalence, message):
    with pytest.raises(ValueError, match=message):
        with_prevalence(PLAIN, prevalence)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(scale=(1.0, 1.0)), 'scale must have'),
        (dict(shift=(0.0, 0.0, np.nan)), 'shift must have'),
        (dict(shares=(1.0, 0.0, 0.0)), 'shares must be above 0'),
        (dict(prevalence=(1.0, -1.0, 1.0)), 'prevalence must be above 0'),
    ],
)
def test_bad_numbers_are_told(change, message):
    with pytest.raises(ValueError, match=message):
        replace(PLAIN, **change)
