import numpy as np
import pytest

from mmimbal.evaluation.table import format_table, mean_and_spread


def test_the_first_column_is_to_the_left():
    assert format_table(('a', 'long'), [('name', '1'), ('b', '12345')]) == (
        'a      long\n----  -----\nname      1\nb     12345'
    )


@pytest.mark.parametrize(
    ('values', 'digits', 'expected'),
    [([], 1, '-'), ([2.34], 1, '2.3'), ([1.0, 2.0, 6.0], 0, '3')],
)
def test_what_has_no_spread(values, digits, expected):
    assert mean_and_spread(values, digits) == expected


def test_the_spread_is_that_of_a_sample():
    values = [61.2, 58.0, 60.7]
    spread = np.std(values, ddof=1)
    assert mean_and_spread(values) == f'{np.mean(values):.1f} ± {spread:.1f}'
