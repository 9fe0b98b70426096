import math

import pytest
import torch

from mmimbal.models.losses.simplex import spread_points


@pytest.mark.parametrize(('count', 'size'), [(2, 1), (2, 5), (3, 2), (7, 6), (7, 128)])
def test_up_to_one_more_than_the_size_are_a_simplex(count, size):
    points = spread_points(count, size)
    expected = torch.full((count, count), -1 / (count - 1)).fill_diagonal_(1)
    torch.testing.assert_close(points @ points.T, expected, atol=1e-5, rtol=0)
    assert spread_points(count, size).equal(points)
    if size > 1:
        assert not spread_points(count, size, seed=1).allclose(points)


def test_more_are_moved_apart():
    """Five on a circle are 72 degrees apart; six in space are an octahedron."""
    for count, size, nearest in ((5, 2, math.cos(math.radians(72))), (6, 3, 0.0)):
        points = spread_points(count, size)
        torch.testing.assert_close(points.norm(dim=1), torch.ones(count))
        cosines = (points @ points.T).fill_diagonal_(-1).amax(1)
        torch.testing.assert_close(
            cosines, torch.full((count,), nearest), atol=0.02, rtol=0
        )


def test_it_leaves_the_global_random_numbers_alone():
    state = torch.random.get_rng_state()
    spread_points(5, 2)
    assert torch.random.get_rng_state().equal(state)


def test_one_class_is_refused():
    with pytest.raises(ValueError, match='at least 2 classes are needed'):
        spread_points(1, 8)
