import numpy as np
import pytest
from sklearn.metrics import precision_score, recall_score

from mmimbal.evaluation.operating_points import operating_point


def test_it_is_that_of_scikit_learn_on_repeated_images():
    random = np.random.default_rng(0)
    said, present = random.random((2, 60)) < [[0.3], [0.2]]
    times = random.integers(0, 3, (4, 60))
    found = operating_point(said, present, times.astype(float))
    assert list(found) == ['sensitivity', 'specificity', 'precision']
    for row, repeats in enumerate(times):
        pair = [np.repeat(each, repeats) for each in (present, said)]
        assert found['sensitivity'][row] == pytest.approx(recall_score(*pair))
        assert found['precision'][row] == pytest.approx(precision_score(*pair))
        others = recall_score(*pair, pos_label=False)
        assert found['specificity'][row] == pytest.approx(others)


def test_it_is_nan_without_images():
    none, every = np.zeros(3, bool), np.ones(3, bool)
    never = operating_point(none, none, np.ones((1, 3)))
    assert never['specificity'] == [1.0]
    assert np.isnan([*never['sensitivity'], *never['precision']]).all()
    assert np.isnan(operating_point(every, every, np.ones((1, 3)))['specificity'])
