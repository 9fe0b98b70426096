from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mmengine.dataset import RepeatDataset

from mmimbal.datasets import ClassBalancedSampler, DigitsLT, get_labels
from mmimbal.datasets.samplers import class_balanced
from mmimbal.datasets.samplers.class_balanced import split_by_rank


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


def test_no_image_repeats_early_anywhere_in_the_stream(digits, monkeypatch):
    monkeypatch.setattr(class_balanced, 'BLOCK', 100)
    sampler = ClassBalancedSampler(digits, length=1000, seed=1)
    stream = np.concatenate([sampler.draw(epoch) for epoch in range(3)])
    labels = get_labels(digits)
    for label, count in enumerate(np.bincount(labels)):
        walk = stream[labels[stream] == label]
        for first in range(0, len(walk) - count + 1, count):
            assert len(set(walk[first : first + count].tolist())) == count


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
        (dict(power=-1.1), 'power=-1.1'),
        (dict(end_power=2, epochs=3), 'end_power=2'),
        (dict(end_power=0), 'needs both'),
        (dict(epochs=3), 'needs both'),
        (dict(end_power=0, epochs=0), 'at least one epoch'),
        (dict(effective_number=1), 'effective_number=1 must be in'),
        (dict(effective_number=0.9, power=0.5), 'excludes power=0.5'),
        (dict(length=0), 'length=0'),
        (dict(length=10**9), 'below 1,000,000,000'),
    ],
)
def test_bad_options_are_named(digits, options, message):
    with pytest.raises(ValueError, match=message):
        ClassBalancedSampler(digits, **options)


def test_no_class_is_left_out_of_an_epoch(digits):
    counts = np.bincount(get_labels(digits))
    sampler = ClassBalancedSampler(digits, power=1, length=60, seed=0)
    exact = 60 * counts / counts.sum()
    assert exact.min() < 0.5  # by largest remainder alone it would not come up
    assert sampler.quotas(0).min() == 1 and sampler.quotas(0).sum() == 60
    assert labels_drawn(digits, sampler).keys() == set(range(10))


def test_empty_class_is_named():
    dataset = DigitsLT('train')
    dataset.get_gt_labels = lambda: np.zeros(5, int)
    with pytest.raises(ValueError, match='no training image of class 1, 2'):
        ClassBalancedSampler(dataset)


def test_reversed_draws_the_rarest_most_often(digits):
    drawn = labels_drawn(digits, ClassBalancedSampler(digits, power=-1, length=10_000))
    inverse = 1 / np.array([104, 67, 44, 28, 18, 12, 8, 5, 3, 2])
    expected = inverse / inverse.sum() * 10_000
    assert all(abs(drawn[label] - expected[label]) < 1 for label in range(10))


def test_effective_number(digits):
    sampler = ClassBalancedSampler(digits, effective_number=0.9, length=10_000)
    counts = np.array([104, 67, 44, 28, 18, 12, 8, 5, 3, 2])
    weights = counts * 0.1 / (1 - 0.9**counts)
    expected = weights / weights.sum() * 10_000
    assert np.abs(sampler.quotas(0) - expected).max() < 1


def test_progressive_sampling_mixes_shares_linearly(digits):
    options = dict(power=1, end_power=0, epochs=4, length=2910)
    sampler = ClassBalancedSampler(digits, **options)
    natural = np.array([104, 67, 44, 28, 18, 12, 8, 5, 3, 2]) / 291
    for epoch in range(6):
        progress = min(epoch / 4, 1)
        expected = ((1 - progress) * natural + progress * 0.1) * 2910
        assert np.abs(sampler.quotas(epoch) - expected).max() < 1
        sampler.set_epoch(epoch)
        drawn = labels_drawn(digits, sampler)
        assert [drawn[label] for label in range(10)] == sampler.quotas(epoch).tolist()


@pytest.mark.parametrize(
    'options',
    [
        dict(length=333),
        dict(power=1, end_power=-0.5, epochs=5, length=200),
        dict(effective_number=0.99),
    ],
)
def test_no_image_repeats_before_its_class_is_used_up_whatever_the_quotas(
    digits, options
):
    sampler = ClassBalancedSampler(digits, seed=1, **options)
    sampler.set_class_weights(np.linspace(1, 3, 10), epoch=3)
    labels = get_labels(digits)
    times = np.zeros(len(digits), int)
    for epoch in range(7):
        np.add.at(times, sampler.draw(epoch), 1)
        for label in range(10):
            of_class = times[labels == label]
            assert of_class.max() - of_class.min() <= 1


def test_class_weights_multiply_the_shares_from_their_epoch_on(digits):
    sampler = ClassBalancedSampler(digits, length=1000, seed=0)
    before = sampler.draw(0)
    sampler.set_class_weights([3] + [1] * 9, epoch=1)
    assert np.array_equal(sampler.draw(0), before)
    assert sampler.quotas(1)[0] == 250
    sampler.set_class_weights([1] * 10, epoch=2)
    assert sampler.quotas(1)[0] == 250
    assert sampler.quotas(2)[0] == 100
    sampler.set_class_weights([1] * 10, epoch=1)  # of a run that went back
    assert [epoch for epoch, _ in sampler.weights] == [0, 1]
    with pytest.raises(ValueError, match='10 positive class weights'):
        sampler.set_class_weights([0] * 10, epoch=3)


def test_stream_of_several_blocks_is_shuffled_as_a_whole(digits, monkeypatch):
    """Blocks take from the quotas without replacement: as a shuffle would."""
    monkeypatch.setattr(class_balanced, 'BLOCK', 100)
    sampler = ClassBalancedSampler(digits, length=1000, seed=0)
    blocks = list(sampler.blocks(0))
    assert [len(block) for block in blocks] == [100] * 10
    labels = get_labels(digits)
    counts = np.array([np.bincount(labels[block], minlength=10) for block in blocks])
    assert (counts.sum(axis=0) == 100).all()
    firsts = [
        np.bincount(labels[next(sampler.blocks(epoch))], minlength=10)
        for epoch in range(300)
    ]
    # Hypergeometric: 100 of 1000, 100 of them of the class.
    assert np.mean(firsts) == pytest.approx(10)
    assert np.var(firsts, axis=0).mean() == pytest.approx(9 * 900 / 999, rel=0.15)


def test_first_index_comes_before_the_epoch_is_drawn(digits, monkeypatch):
    monkeypatch.setattr(class_balanced, 'BLOCK', 10)
    sampler = ClassBalancedSampler(digits, length=10**9 - 1)
    assert 0 <= next(iter(sampler)) < len(digits)


class Images:
    """Nothing but labels."""

    def __init__(self, counts):
        self.labels = np.random.default_rng(0).permutation(
            np.repeat(np.arange(len(counts)), counts)
        )
        self.metainfo = dict(classes=tuple(map(str, range(len(counts)))))

    def __len__(self):
        return len(self.labels)

    def get_gt_labels(self):
        return self.labels


@settings(max_examples=50)
@example([1, 1, 1, 1, 1, 3], 1.0, 6)
@given(
    st.lists(st.integers(1, 10_000), min_size=1, max_size=8),
    st.floats(-1, 1),
    st.integers(1, 20_000),
)
def test_quotas_and_coverage_whatever_the_counts(counts, power, length):
    dataset = Images(counts)
    sampler = ClassBalancedSampler(dataset, power=power, length=length, seed=0)
    times = np.zeros(len(dataset), int)
    for epoch in range(3):
        drawn = sampler.draw(epoch)
        quotas = np.bincount(dataset.labels[drawn], minlength=len(counts))
        exact = length * np.array(counts) ** power / np.sum(np.array(counts) ** power)
        # The largest give way to classes that would not be drawn at all.
        rare = (exact < 1 + 1e-9).sum()  # a 1 may be rounded to a little less
        assert np.abs(quotas - exact).max() < 1 + 1e-9 + rare
        assert quotas.all() or length < len(counts)
        np.add.at(times, drawn, 1)
    for label in range(len(counts)):
        of_class = times[dataset.labels == label]
        assert of_class.max() - of_class.min() <= 1


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=5),
    st.integers(1, 8),
)
def test_ranks_split_a_stream_whatever_its_blocks(sizes, world_size):
    stream = list(range(sum(sizes)))
    parts = []
    for rank in range(world_size):
        blocks = np.split(np.array(stream), np.cumsum(sizes)[:-1])
        lists = split_by_rank(blocks, len(stream), rank, world_size)
        parts.append(list(chain.from_iterable(lists)))
    merged = [item for group in zip(*parts, strict=True) for item in group]
    assert merged[: len(stream)] == stream
    padding = len(merged) - len(stream)
    assert padding < world_size
    assert merged[len(stream) :] == (stream * padding)[:padding]


@pytest.mark.parametrize('options', [{}, dict(effective_number=0.999)])
def test_copies_of_a_repeated_dataset_are_the_same_images(digits, options):
    plain = ClassBalancedSampler(digits, seed=0, length=500, **options)
    repeated = RepeatDataset(digits, times=10)
    sampler = ClassBalancedSampler(repeated, seed=0, length=500, **options)
    assert list(sampler) == list(plain)
    assert len(ClassBalancedSampler(repeated)) == 10 * len(digits)
