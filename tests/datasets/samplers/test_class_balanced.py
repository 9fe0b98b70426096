from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmimbal.datasets import ClassBalancedSampler, DigitsLT, get_labels
from mmimbal.datasets.samplers import class_balanced
from mmimbal.datasets.samplers.class_balanced import largest_remainder, walk


@pytest.fixture(scope='module')
def digits():
    return DigitsLT('train')


def labels_drawn(dataset, sampler):
    return Counter(get_labels(dataset)[list(sampler)].tolist())


def test_power_zero_draws_all_classes_equally(digits):
    drawn = labels_drawn(digits, ClassBalancedSampler(digits, length=1000, seed=0))
    assert set(drawn.values()) == {100}


def test_power_one_draws_each_image_once(digits):
    sampler = ClassBalancedSampler(digits, power=1, seed=0)
    assert sorted(sampler) == list(range(len(digits)))


def test_power_half_follows_square_roots(digits):
    drawn = labels_drawn(digits, ClassBalancedSampler(digits, power=0.5, length=10_000))
    roots = np.sqrt([104, 67, 44, 28, 18, 12, 8, 5, 3, 2])
    expected = roots / roots.sum() * 10_000
    assert all(abs(drawn[label] - expected[label]) < 1 for label in range(10))


def test_no_image_repeats_before_all_of_its_class_were_drawn(digits):
    """Over epochs too: counts within a class never differ by more than one."""
    sampler = ClassBalancedSampler(digits, length=333, seed=1)
    labels = get_labels(digits)
    times = np.zeros(len(digits), int)
    for epoch in range(7):
        sampler.set_epoch(epoch)
        np.add.at(times, list(sampler), 1)
        for label in range(10):
            of_class = times[labels == label]
            assert of_class.max() - of_class.min() <= 1


def test_stream_is_a_function_of_seed_and_epoch(digits):
    one, other = (ClassBalancedSampler(digits, seed=5) for _ in range(2))
    one.set_epoch(3)
    for epoch in range(4):  # the other has gone through the epochs before
        other.set_epoch(epoch)
        stream = list(other)
    assert list(one) == stream
    one.set_epoch(4)
    assert list(one) != stream
    assert list(ClassBalancedSampler(digits, seed=6)) != list(
        ClassBalancedSampler(digits, seed=5)
    )


def test_global_random_state_is_left_alone(digits):
    np.random.seed(0)
    before = np.random.get_state()[1].tolist()
    list(ClassBalancedSampler(digits, seed=0))
    assert np.random.get_state()[1].tolist() == before


@pytest.mark.parametrize('world_size', [1, 2, 4])
@pytest.mark.parametrize('length', [96, 97])
def test_ranks_share_one_stream(digits, monkeypatch, world_size, length):
    whole = ClassBalancedSampler(digits, length=length, seed=0).draw(0).tolist()
    parts = []
    for rank in range(world_size):
        monkeypatch.setattr(
            class_balanced, 'get_dist_info', lambda r=rank: (r, world_size)
        )
        sampler = ClassBalancedSampler(digits, length=length, seed=0)
        parts.append(list(sampler))
        assert len(parts[-1]) == len(sampler)
    assert len(set(map(len, parts))) == 1
    merged = [index for group in zip(*parts, strict=True) for index in group]
    assert merged[:length] == whole
    assert merged[length:] == whole[: len(merged) - length]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(power=1.5), 'power=1.5 must be between'),
        (dict(power=-0.1), 'power=-0.1'),
        (dict(length=0), 'length=0'),
    ],
)
def test_bad_options_are_named(digits, options, message):
    with pytest.raises(ValueError, match=message):
        ClassBalancedSampler(digits, **options)


def test_empty_class_is_named():
    dataset = DigitsLT('train')
    dataset.get_gt_labels = lambda: np.zeros(5, int)
    with pytest.raises(ValueError, match='no training image of class 1, 2'):
        ClassBalancedSampler(dataset)


@given(
    st.lists(st.floats(0.01, 100), min_size=1, max_size=20),
    st.integers(1, 1000),
)
def test_largest_remainder_is_exact_and_near(weights, total):
    weights = np.array(weights)
    quotas = largest_remainder(weights, total)
    assert quotas.sum() == total
    assert np.abs(quotas - weights / weights.sum() * total).max() < 1


@given(st.integers(1, 10_000), st.integers(0, 50_000), st.integers(0, 3000))
def test_walk_is_one_sequence_of_permutations(size, start, length):
    stretch = walk(size, start, length, (0, 1))
    assert len(stretch) == length
    whole = walk(size, 0, start + length, (0, 1))
    assert np.array_equal(whole[start:], stretch)
    for first in range(0, len(whole) - size + 1, size)[:50]:
        assert len(set(whole[first : first + size].tolist())) == size
