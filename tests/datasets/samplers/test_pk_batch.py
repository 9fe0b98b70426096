from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.dataset import (
    ClassBalancedDataset,
    ConcatDataset,
    DefaultSampler,
    RepeatDataset,
)
from torch.utils.data import ConcatDataset as TorchConcatDataset
from torch.utils.data import SequentialSampler

from mmimbal.datasets import (
    ClassBalancedSampler,
    CSVDataset,
    DigitsLT,
    PKBatchSampler,
    get_groups,
    get_labels,
)
from mmimbal.datasets.samplers import pk_batch
from mmimbal.datasets.samplers.distinct_groups import deal, get_image_numbers
from tests.conftest import write_index


class Images:
    """Nothing but labels and groups."""

    def __init__(self, counts, group_size=1):
        self.labels = np.repeat(np.arange(len(counts)), counts)
        self.groups = [
            f'{label}-{number // group_size}'
            for label, count in enumerate(counts)
            for number in range(count)
        ]
        self.metainfo = dict(classes=tuple(map(str, range(len(counts)))))

    def __len__(self):
        return len(self.labels)

    def get_gt_labels(self):
        return self.labels

    def get_groups(self):
        return self.groups


def build(dataset, batch_size, k, seed=0, sampler=DefaultSampler, **options):
    return PKBatchSampler(sampler(dataset, seed=seed), batch_size, k, **options)


def labels_in(batches, dataset):
    return [Counter(get_labels(dataset)[list(batch)].tolist()) for batch in batches]


def test_batch_has_p_classes_of_k_images():
    dataset = Images([500, 40, 300, 20, 80, 90, 10])
    batches = list(build(dataset, 20, 5))
    assert len(batches) == 52
    for batch, labels in zip(batches, labels_in(batches, dataset), strict=True):
        assert len(set(batch)) == 20
        assert sorted(labels.values()) == [5] * 4


def test_p_is_checked():
    dataset = Images([50, 40, 30])
    batches = list(build(dataset, 12, 4, p=3))
    assert batches == list(build(dataset, 12, 4))


def test_classes_take_turns_equally():
    dataset = Images([500, 40, 300, 20, 80, 90, 10])
    total = sum(labels_in(list(build(dataset, 20, 5))[:49], dataset), Counter())
    assert set(total.values()) == {49 * 20 // 7}


def test_more_slots_than_classes_repeat_all_classes_first():
    dataset = Images([50, 50, 50])
    for labels in labels_in(build(dataset, 40, 5), dataset):  # 8 slots, 3 classes
        assert sorted(labels.values()) == [10, 15, 15]


def test_classes_of_fewer_than_k_images_repeat_them():
    dataset = Images([60, 2, 1])
    for batch, labels in zip(
        build(dataset, 12, 4), labels_in(build(dataset, 12, 4), dataset), strict=True
    ):
        assert labels == {0: 4, 1: 4, 2: 4}
        assert {60, 61, 62} <= set(batch)


def test_rest_of_a_batch_that_k_does_not_divide():
    dataset = Images([60, 60, 60])
    sampler = build(dataset, 11, 4)
    batches = labels_in(sampler, dataset)
    assert all(sum(labels.values()) == 11 for labels in batches)
    assert all(sorted(labels.values())[-2:] >= [4, 4] for labels in batches)
    rests = sum(batches, Counter())
    assert max(rests.values()) - min(rests.values()) <= 8


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=9),
    st.integers(2, 30),
    st.integers(2, 5),
)
def test_every_image_is_reached_within_the_epochs_promised(counts, batch_size, k):
    dataset = Images(counts)
    sampler = build(dataset, max(batch_size, k), k)
    reached = set()
    for epoch in range(sampler.coverage_epochs):
        sampler.sampler.set_epoch(epoch)
        for batch in sampler:
            reached.update(batch)
    assert reached == set(range(len(dataset)))


def test_promise_is_stated_and_not_idle(messages):
    """On a real shape: ISIC 2018, 126 of 128 images in slots of 6."""
    dataset = Images([229, 359, 769, 80, 779, 4693, 100])
    sampler = build(dataset, 128, 6)
    assert sampler.coverage_epochs == 5  # 261 rows of 18, 55 batches an epoch
    assert any('used within 5 epochs' in text for text in messages)
    reached = {index for batch in sampler for index in batch}
    assert len(reached) < len(dataset)


@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=60).map(
        lambda groups: np.unique(groups, return_inverse=True)[1]
    ),
    st.integers(2, 8),
    st.integers(0, 100),
)
def test_deal_covers_and_separates_groups_where_possible(groups, k, seed):
    rows = deal(groups, k, np.random.default_rng(seed))
    assert rows.shape == (-(-len(groups) // k), k)
    assert set(rows.ravel().tolist()) == set(range(len(groups)))
    twice = np.bincount(rows.ravel())
    # Dealt at most twice, but in a class of fewer than k images.
    assert twice.max() <= (2 if len(groups) >= k else -(-k // len(groups)))
    sizes, spare = np.bincount(groups), rows.size - len(groups)
    if sizes.max() < len(rows) and spare <= len(sizes):
        # Room for each group, and for one of it more: no row has a group twice.
        for row in rows:
            assert len(set(groups[row].tolist())) == k


@pytest.mark.parametrize('seed', range(10))
def test_a_small_group_is_dealt_again_before_one_that_is_in_every_row(seed):
    groups = np.array([0, 1, 1, 1, 2, 2, 2])
    for row in deal(groups, 3, np.random.default_rng(seed)):
        assert {*groups[row]} == {0, 1, 2}


def test_distinct_groups(tmp_path):
    rows = [
        {'file': f'{name}{n}.png', 'label': name, 'group': f'{name}{n // 3}'}
        for name in 'ab'
        for n in range(30)
    ]
    dataset = CSVDataset(str(write_index(tmp_path, rows, 4)))
    groups = get_groups(dataset)
    together = sum(
        len(set(groups[batch])) < 10 for batch in build(dataset, 10, 5, seed=1)
    )
    assert together > 0  # without the option some lesion is its own partner
    for seed in range(5):
        for batch in build(dataset, 10, 5, seed, distinct_groups=True):
            assert len(set(groups[batch])) == 10


def test_distinct_groups_over_all_slots_of_a_class():
    """Three slots of each class in a batch."""
    dataset = Images([300, 90], group_size=3)
    groups = np.array(dataset.groups)
    for seed in range(3):
        for batch in build(dataset, 24, 4, seed, distinct_groups=True):
            assert len(set(groups[batch])) == 24


def test_distinct_groups_as_far_as_possible():
    """Two groups of 10 in slots of 4: two of each, never three of one."""
    dataset = Images([20, 20], group_size=10)
    groups = np.array(dataset.groups)
    for batch in build(dataset, 8, 4, distinct_groups=True):
        assert set(Counter(groups[batch].tolist()).values()) == {2}


def test_natural_part_is_the_sampler_s_own_stream():
    dataset = Images([50, 20, 7])
    sampler = build(dataset, 16, 4, natural_size=8)
    batches = list(sampler)
    assert len(batches) == len(sampler) == 10
    natural = [index for batch in batches for index in batch[:8]]
    stream = list(sampler.sampler)
    assert natural == stream + stream[:3]
    for labels in labels_in([batch[8:] for batch in batches], dataset):
        assert sorted(labels.values()) == [4, 4]


def test_function_of_seed_and_epoch():
    dataset = Images([50, 20, 7])
    one, other = build(dataset, 13, 4), build(dataset, 13, 4)
    one.sampler.set_epoch(5)
    for epoch in range(6):  # the other has gone through the epochs before
        other.sampler.set_epoch(epoch)
        stream = list(other)
    assert list(one) == stream
    one.sampler.set_epoch(4)
    assert list(one) != stream
    assert list(build(dataset, 13, 4, seed=1)) != list(build(dataset, 13, 4))


@pytest.mark.parametrize('world_size', [2, 4])
def test_ranks_share_a_global_batch(monkeypatch, world_size):
    dataset = Images([60, 24, 12, 8])

    def batches(rank, world_size, batch_size):
        monkeypatch.setattr(pk_batch, 'get_dist_info', lambda: (rank, world_size))
        sampler = ClassBalancedSampler(dataset, seed=0, length=104 // world_size)
        return list(PKBatchSampler(sampler, batch_size, 3))

    whole = batches(0, 1, 16)
    parts = [batches(rank, world_size, 16 // world_size) for rank in range(world_size)]
    for number, batch in enumerate(whole):
        ranks = [part[number] for part in parts]
        merged = [index for group in zip(*ranks, strict=True) for index in group]
        assert merged == batch


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(k=1), 'k=1 must be a whole number of at least 2'),
        (dict(k=17), 'no slot of k=17 fits into 16 images'),
        (dict(k=4, natural_size=13), 'natural_size=13'),
        (dict(k=4, natural_size=-1), 'natural_size=-1'),
        (dict(k=4, p=4), 'p=4 slots of k=4 images: there are 2 classes'),
        (dict(k=4, p=2), 'P x K part of the batch has 16 images'),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        build(Images([20, 20]), 16, **options)


def test_empty_class_is_named():
    with pytest.raises(ValueError, match='no training image of class 1'):
        build(Images([20, 0, 20]), 16, 4)


def test_sampler_without_epochs_is_an_error():
    with pytest.raises(TypeError, match='SequentialSampler has no dataset, seed'):
        PKBatchSampler(SequentialSampler(range(3)), 16, 4)


def test_dataset_without_groups_is_an_error():
    with pytest.raises(TypeError, match='has no groups'):
        build(DigitsLT('train'), 16, 4, distinct_groups=True)


@pytest.mark.parametrize('first', [0, 5, 9])
@pytest.mark.parametrize('batch_size', [12, 13, 23, 40])
def test_batches_are_the_same_however_many_are_drawn_at_once(first, batch_size):
    sampler = build(Images([50, 20, 7, 3]), batch_size, 3)
    together = sampler.draw(first, 11)
    one_by_one = [sampler.draw(number, 1)[0] for number in range(first, first + 11)]
    assert np.array_equal(together, one_by_one)


def test_a_whole_number_may_be_a_float():
    dataset = Images([50, 40, 30])
    assert list(build(dataset, 8, 2.0)) == list(build(dataset, 8, 2))


def test_an_epoch_of_several_blocks_is_that_of_one(monkeypatch):
    dataset = DigitsLT(split='train', pipeline=[])

    def drawn():
        return list(PKBatchSampler(DefaultSampler(dataset, seed=0), 23, k=4))

    whole = drawn()
    monkeypatch.setattr(pk_batch, 'BLOCK', 3)
    assert len(whole) > 7 and drawn() == whole
    assert len({tuple(batch) for batch in whole}) == len(whole)


@pytest.mark.parametrize('seed', range(20))
def test_images_of_small_groups_are_repeated_first(seed):
    groups = np.array([0, 0, 0, 0, 1, 2, 2])
    counts = np.bincount(deal(groups, 4, np.random.default_rng(seed)).ravel())
    assert np.flatnonzero(counts == 2).tolist() == [4]


@pytest.mark.parametrize(
    'wrap',
    [
        lambda d: RepeatDataset(d, times=5),
        lambda d: ConcatDataset([d, d]),
        lambda d: ClassBalancedDataset(d, oversample_thr=0.9),
        lambda d: TorchConcatDataset([RepeatDataset(d, times=2), d]),
    ],
    ids=['repeat', 'concat', 'class balanced', 'nested'],
)
def test_a_slot_holds_no_image_twice_although_the_dataset_does(wrap):
    images = DigitsLT('train')
    dataset = wrap(images)
    numbers, labels = get_image_numbers(dataset), get_labels(dataset)
    assert len(set(numbers.tolist())) == len(images)
    for image in set(numbers.tolist()):
        assert len(set(labels[numbers == image])) == 1
    for batch in build(dataset, 40, 4):
        for label in range(8):  # the others have fewer than 4 images
            drawn = numbers[batch][labels[batch] == label]
            assert len(set(drawn.tolist())) == 4
