import numpy as np
import pytest

from mmimbal.visualization.tables import Estimate, estimate, estimate_difference

RESAMPLED = np.linspace(2, 6, 101)  # its middle 95%: 2.1 to 5.9


def test_a_metric_has_the_interval_of_its_resamples():
    cell = estimate('macro_f1', 3.0, RESAMPLED)
    assert (cell.text, cell.interval, cell.bold) == ('3.0', '[2.1, 5.9]', False)


def test_a_metric_that_noise_shifts_has_a_symmetric_interval_above_0():
    cell = estimate('ece', 3.5, RESAMPLED)
    assert (cell.text, cell.interval) == ('3.5', '[1.1, 5.9]')
    assert estimate('ece', 2.5, RESAMPLED).interval == '[0.0, 5.9]'
    below = estimate_difference('ece', 2.5, RESAMPLED, bold=True)
    assert below.interval == '[-0.9, 5.9]' and not below.bold


@pytest.mark.parametrize(
    ('shift', 'text', 'bold'),
    [(0, '+4.0', True), (4, '+0.0', False), (9, '-5.0', True)],
)
def test_a_difference_is_bold_if_its_interval_does_not_contain_0(shift, text, bold):
    resampled = RESAMPLED - shift
    cell = estimate_difference('macro_f1', 4.0 - shift, resampled, bold=True)
    assert (cell.text, cell.bold) == (text, bold)
    assert not estimate_difference('macro_f1', 4.0 - shift, resampled, bold=False).bold


def test_numbers_have_one_decimal():
    cell = Estimate(12.345, -0.26, 99.99)
    assert (cell.text, cell.interval) == ('12.3', '[-0.3, 100.0]')


@pytest.mark.parametrize(
    ('cell', 'text'),
    [
        (Estimate(-0.04, -0.3, 0.02), '0.0 [-0.3, 0.0]'),
        (Estimate(-0.04, -0.3, 0.02, signed=True), '+0.0 [-0.3, 0.0]'),
        (Estimate(1.0, 0.03, 2.0, signed=True, bold=True), '+1.00 [0.03, 2.00]'),
        (Estimate(-1.0, -2.0, -0.004, bold=True), '-1.000 [-2.000, -0.004]'),
    ],
)
def test_rounding_hides_no_side_of_0(cell, text):
    assert f'{cell.text} {cell.interval}' == text
