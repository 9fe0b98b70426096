import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from mmimbal.datasets.samplers.permutations import endless_permutations


@given(st.integers(1, 10_000), st.integers(0, 50_000), st.integers(0, 3000))
def test_one_sequence_of_permutations_wherever_it_is_entered(size, start, length):
    items = np.arange(size) * 2
    stretch = endless_permutations(items, (0, 1)).take(start, length)
    assert len(stretch) == length
    sequence = endless_permutations(items, (0, 1)).take(0, start + length)
    assert np.array_equal(sequence[start:], stretch)
    for first in range(0, len(sequence) - size + 1, size)[:50]:
        assert sorted(sequence[first : first + size]) == items.tolist()


def test_going_back_gives_the_same():
    images = endless_permutations(np.arange(5000), (3,))
    first = images.take(100, 50)
    images.take(12_000, 50)
    assert np.array_equal(images.take(100, 50), first)


def test_every_order_is_equally_likely():
    permutations = (
        endless_permutations(np.arange(3), (0,)).take(0, 3 * 6000).reshape(-1, 3)
    )
    _, counts = np.unique(permutations, axis=0, return_counts=True)
    assert len(counts) == 6
    assert chisquare(counts).pvalue > 0.001
