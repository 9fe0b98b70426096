from collections import Counter

import numpy as np
import pytest

from mmimbal.datasets.splits import (
    check_groups,
    folds_by_group,
    join_groups,
    split_by_group,
)


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


def test_too_few_groups_are_an_error():
    with pytest.raises(ValueError, match='3 groups cannot be split into 10 parts'):
        split_by_group([0, 1, 0], ['a', 'b', 'c'])


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
