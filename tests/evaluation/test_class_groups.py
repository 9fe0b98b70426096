import numpy as np
import pytest

from mmimbal.evaluation.class_groups import groups_by_count, groups_by_name


def test_thresholds():
    counts = np.array([101, 100, 20, 19, 5000])
    assert groups_by_count(counts) == {'head': [0, 4], 'medium': [1, 2], 'tail': [3]}


def test_names_become_indices():
    assert groups_by_name({'tail': ['c', 'a']}, ['a', 'b', 'c']) == {'tail': [2, 0]}


def test_unknown_name_is_an_error():
    with pytest.raises(
        ValueError, match='not classes of the dataset: x; its classes are a, b'
    ):
        groups_by_name({'tail': ['x']}, ['a', 'b'])
