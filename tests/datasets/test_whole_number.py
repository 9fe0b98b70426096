import math

import pytest

from mmimbal.datasets.whole_number import whole_number


@pytest.mark.parametrize(('value', 'smallest'), [(1, 1), (3.0, 2), (0, 0), (-2, -2)])
def test_whole_numbers_are_integers(value, smallest):
    found = whole_number('k', value, smallest)
    assert found == value and isinstance(found, int)


@pytest.mark.parametrize('value', [0, 1.5, -1, math.inf, -math.inf, math.nan])
def test_others_are_refused(value):
    with pytest.raises(ValueError, match=f'k={value} must be a whole number of at '):
        whole_number('k', value)
