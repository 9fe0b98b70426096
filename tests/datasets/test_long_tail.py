import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmpretrain.registry import DATASETS

from mmimbal.datasets import CSVDataset, DigitsLT, LongTailDataset, get_class_counts
from mmimbal.datasets.labels_and_groups import get_groups, get_labels
from mmimbal.datasets.long_tail import long_tail_counts
from tests.conftest import write_index


@pytest.fixture
def balanced():
    return DigitsLT('train', ratio=1)


def test_profiles_by_hand():
    assert long_tail_counts(1000, 3, 100).tolist() == [1000, 100, 10]
    assert long_tail_counts(1000, 4, 10, 'step').tolist() == [1000, 1000, 100, 100]
    assert long_tail_counts(1000, 5, 10, 'step').tolist() == [1000] * 3 + [100] * 2
    pareto = long_tail_counts(900, 3, 9, 'pareto')
    exponent = np.log(9) / np.log(3)
    assert pareto.tolist() == [round(900 * rank**-exponent) for rank in (1, 2, 3)]


@given(
    st.integers(50, 10_000),
    st.integers(1, 50),
    st.floats(1, 50),
    st.sampled_from(['exponential', 'step', 'pareto']),
)
def test_counts_fall_from_most_to_most_by_ratio(most, classes, ratio, profile):
    counts = long_tail_counts(most, classes, ratio, profile)
    assert counts[0] == most
    assert (np.diff(counts) <= 0).all()
    if classes > 1:
        # A half is rounded up or down, as the last bit of a power has it.
        assert abs(counts[-1] - most / ratio) < 0.5 + 1e-9


@pytest.mark.parametrize('profile', ['exponential', 'step', 'pareto'])
def test_dataset_has_the_counts(balanced, profile):
    dataset = LongTailDataset(balanced, ratio=20, profile=profile)
    expected = long_tail_counts(104, 10, 20, profile)
    assert get_class_counts(dataset).tolist() == expected.tolist()
    assert len(dataset) == expected.sum()
    labels = [dataset[index]['gt_label'] for index in range(len(dataset))]
    assert labels == get_labels(dataset).tolist()
    moved = np.flatnonzero(dataset.indices != np.arange(len(dataset)))
    assert moved.size
    for index in moved.tolist():
        assert dataset.get_cat_ids(index) == [labels[index]]
        assert dataset.get_data_info(index)['gt_label'] == labels[index]


def test_deterministic_by_seed(balanced):
    one, again, other = (LongTailDataset(balanced, 20, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(one.indices, again.indices)
    assert not np.array_equal(one.indices, other.indices)
    assert (np.diff(one.indices) > 0).all()


def test_groups_stay_whole_but_for_the_last_of_a_class(tmp_path):
    rows = [
        {'file': f'{name}{n}.png', 'label': name, 'group': f'{name}{n // 4}'}
        for name in 'ab'
        for n in range(40)
    ]
    dataset = CSVDataset(str(write_index(tmp_path, rows, 4)))
    kept = get_groups(LongTailDataset(dataset, ratio=40 / 18))
    sizes = np.unique(kept[18 + 22 :], return_counts=True)[1]
    assert sorted(sizes.tolist()) == [2, 4, 4, 4, 4]


def test_a_class_with_fewer_images_keeps_them():
    dataset = LongTailDataset(DigitsLT('train', ratio=50), ratio=2)
    assert get_class_counts(dataset)[-1] == 2


def test_built_from_a_config_it_reports_what_it_keeps(messages):
    dataset = LongTailDataset(dict(type='mmimbal.DigitsLT', split='val'), ratio=10)
    assert get_class_counts(dataset)[-1] == 2
    report = next(text for text in messages if text.startswith('LongTailDataset('))
    assert 'keeps 0: 20 of 20, 1: 15 of 20' in report and '9: 2 of 20' in report


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(ratio=0.5), 'ratio=0.5 must be at least 1'),
        (dict(ratio=1000), 'ratio=1000 leaves the rarest class without'),
        (
            dict(ratio=2, profile='linear'),
            "profile='linear' must be one of exponential",
        ),
    ],
)
def test_bad_options_are_named(balanced, options, message):
    with pytest.raises(ValueError, match=message):
        LongTailDataset(balanced, **options)


@pytest.mark.parametrize('wrapper', ['ConcatDataset', 'RepeatDataset', 'KFoldDataset'])
def test_inside_a_wrapper_of_mmengine(wrapper):
    inside = dict(
        type='mmimbal.LongTailDataset',
        ratio=10,
        dataset=dict(type='mmimbal.DigitsLT', split='val'),
    )
    cfg = {
        'ConcatDataset': dict(datasets=[inside, inside]),
        'RepeatDataset': dict(dataset=inside, times=2),
        'KFoldDataset': dict(dataset=inside, num_splits=2),
    }[wrapper]
    dataset = DATASETS.build(dict(type=wrapper, **cfg))
    labels = [dataset[index]['gt_label'] for index in range(len(dataset))]
    assert get_labels(dataset).tolist() == labels
