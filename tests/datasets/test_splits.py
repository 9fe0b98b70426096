from collections import Counter

import numpy as np
import pytest

from mmimbal.datasets.rare_classes import describe_uneven
from mmimbal.datasets.splits import (
    check_groups,
    folds_by_group,
    join_groups,
    split_by_group,
)

SPLITS = ('train', 'val', 'test')


@pytest.fixture
def images():
    """Return labels and groups of 2000 images in 800 groups of one class each."""
    random = np.random.default_rng(0)
    classes = random.choice(3, 800, p=[0.8, 0.15, 0.05])
    groups = random.integers(0, 800, 2000)
    return classes[groups], groups.astype(str)


def test_groups_stay_together_and_classes_keep_their_shares(images):
    labels, groups = images
    split = split_by_group(labels, groups)
    check_groups(groups, split)
    for name, share in {'train': 0.7, 'val': 0.1, 'test': 0.2}.items():
        assert (split == name).mean() == pytest.approx(share, abs=0.01)
        for label in range(3):
            inside = ((split == name) & (labels == label)).sum()
            assert inside / (labels == label).sum() == pytest.approx(share, abs=0.03)


def test_deterministic_by_seed(images):
    one, again, other = (split_by_group(*images, seed) for seed in (0, 0, 1))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert Counter(one) != {}


def test_straddling_group_is_named():
    with pytest.raises(
        ValueError, match=r'1 groups.*the first, b, is in test and train'
    ):
        check_groups(['a', 'a', 'b', 'b'], ['train', 'train', 'train', 'test'])


def test_what_cannot_be_tested_is_an_error():
    with pytest.raises(ValueError, match='each of the 2 classes has one group'):
        split_by_group([0, 1, 0], ['a', 'b', 'a'])


# Groups of a rare class in train, val and test of the split of 70/10/20.
RARE = {
    1: (1, 0, 0),
    2: (1, 0, 1),
    3: (2, 0, 1),
    4: (3, 0, 1),
    5: (3, 1, 1),
    6: (4, 1, 1),
    7: (5, 1, 1),
    8: (6, 1, 1),
    9: (7, 1, 1),
}


def with_rare_class(count, size=6):
    """Return 200 images of a common class, and ``count`` groups of a rare one."""
    labels = np.array([0] * 200 + [1] * size * count)
    groups = [f'common{n // 2}' for n in range(200)]
    groups += [f'rare{n // size}' for n in range(size * count)]
    return labels, np.array(groups)


@pytest.mark.parametrize('seed', [0, 1, 2])
@pytest.mark.parametrize('count', RARE)
def test_training_comes_first_for_rare_classes(count, seed):
    labels, groups = with_rare_class(count)
    split = split_by_group(labels, groups, seed)
    check_groups(groups, split)
    rare = split[labels == 1]
    assert tuple((rare == name).sum() // 6 for name in SPLITS) == RARE[count]
    common = split[labels == 0]
    for name, share in zip(SPLITS, (0.7, 0.1, 0.2), strict=True):
        assert (common == name).mean() == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize('folds', [2, 3, 5])
@pytest.mark.parametrize('count', range(1, 12))
def test_folds_test_each_group_of_a_rare_class_once(count, folds):
    labels, groups = with_rare_class(count)
    rare = [split[labels == 1] for split in folds_by_group(labels, groups, folds)]
    tested = sum((split == 'test').astype(int) for split in rare)
    assert set(tested) == ({0} if count == 1 else {1})
    for split in rare:
        assert (split == 'train').any()
        if count < 2 * folds:  # rare
            assert (split == 'val').any() <= (count >= 5)
            assert (split == 'val').sum() <= 6
            assert (split == 'test').sum() <= 6 * -(-count // folds)


def test_the_largest_group_of_a_rare_class_is_for_training():
    labels, groups = with_rare_class(3)
    labels = np.append(labels, [1] * 50)
    groups = np.append(groups, ['rare1'] * 50)
    for seed in range(5):
        split = split_by_group(labels, groups, seed)
        assert (split[groups == 'rare1'] == 'train').all()


def test_a_group_of_two_rare_classes_is_in_one_split():
    labels, groups = with_rare_class(4)
    labels = np.append(labels, [2, 2, 2])
    groups = np.append(groups, ['rare0', 'rare0', 'own'])
    for fold in folds_by_group(labels, groups, 5):
        check_groups(groups, fold)
        for label in (1, 2):
            assert (fold[labels == label] == 'train').any()


def test_a_small_set_of_rare_classes_alone_can_be_split():
    labels = np.repeat([0, 1, 2], 4)
    split = split_by_group(labels, [str(n) for n in range(12)])
    for label in range(3):
        counts = Counter(split[labels == label])
        assert counts == dict(train=3, test=1)


@pytest.mark.parametrize(
    'patients', [(4, 5, 8), (3, 8), (4, 9), (2, 6), (4, 5, 8, 11)], ids=str
)
@pytest.mark.parametrize('seed', range(3))
def test_patients_of_several_classes_leave_some_for_validation(patients, seed):
    """Patient p has images of every class of more than p patients."""
    labels, groups = [], []
    for label, count in enumerate(patients):
        for patient in range(count):
            labels += [label] * 4
            groups += [f'p{patient}'] * 4
    for fold in folds_by_group(labels, groups, 5, seed):
        check_groups(groups, fold)
        assert (fold == 'val').any()
        for label in range(len(patients)):
            assert (fold[np.array(labels) == label] == 'train').any()


def test_uneven_splits_are_described():
    labels, groups = with_rare_class(5)
    labels, groups = np.append(labels, 2), np.append(groups, 'only')
    split = split_by_group(labels, groups)
    assert describe_uneven(labels, groups, split, ('common', 'rare', 'one')) == [
        'one has 1 group: its 1 images are in train, and it cannot be tested',
    ]
    split[labels == 1] = 'test'
    first, _ = describe_uneven(labels, groups, split, ('common', 'rare', 'one'))
    assert (
        first == 'rare has 5 groups: its 30 images are split 0/0/30, far from 70/10/20'
    )


def test_folds_test_each_image_once(images):
    labels, groups = images
    folds = folds_by_group(labels, groups, 4, seed=1)
    assert len(folds) == 4
    assert (sum((fold == 'test').astype(int) for fold in folds) == 1).all()
    for fold in folds:
        check_groups(groups, fold)
        for name, share in {'train': 0.625, 'val': 0.125, 'test': 0.25}.items():
            for label in range(3):
                inside = ((fold == name) & (labels == label)).sum()
                assert inside / (labels == label).sum() == pytest.approx(
                    share, abs=0.04
                )
    # Validation of one fold is not that of another, and no test image is in it.
    vals = np.stack([fold == 'val' for fold in folds])
    assert (vals.sum(0) <= 1).all()


def test_one_fold_is_too_few(images):
    with pytest.raises(ValueError, match='1 folds are too few'):
        folds_by_group(*images, 1)


def test_groups_that_share_an_image_are_joined():
    groups = ['b', 'a', 'c', 'd', 'e', 'e']
    contents = ['1', '1', '2', '3', '3', '2']
    assert join_groups(groups, contents) == ['a', 'a', 'c', 'c', 'c', 'c']
    apart = [str(n) for n in range(6)]
    assert join_groups(groups, apart) == groups


def test_what_rare_classes_leave_over_is_dealt_out_too():
    """Four groups are left: too few for the ten parts of a stratified split."""
    groups = [f'g{n}' for n in range(12)] + [f'g{n}' for n in range(4, 12)]
    labels = [0] * 12 + [1] * 8
    for n in range(22):  # each with one image of a rare class
        groups += [f'h{n}', f'h{n}']
        labels += [1, 2 + n // 8]
    folds = folds_by_group(labels, groups, 5)
    tested = np.stack([fold == 'test' for fold in folds])
    assert (tested.sum(0) == 1).all()
    for fold in folds:
        check_groups(groups, fold)
        assert set(np.array(labels)[fold == 'train']) == {0, 1, 2, 3, 4}
