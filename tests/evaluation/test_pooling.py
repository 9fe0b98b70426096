import dataclasses

import numpy as np
import pytest

from mmimbal.evaluation.pooling import averaged, pooled
from mmimbal.evaluation.predictions import Predictions


@pytest.fixture
def found():
    return Predictions(
        np.array([[0.5, 0.5], [0.25, 0.75], [1, 0]], np.float32),
        np.array([0, 1, 1]),
        np.array(['a.png', 'b.png', 'c.png']),
        np.array(['x', 'x', 'y']),
        ('first', 'second'),
    )


def test_folds_are_pooled(found):
    other = dataclasses.replace(found, files=np.array(['d', 'e', 'f']))
    both = pooled([found, other])
    assert both.files.tolist() == [*found.files, 'd', 'e', 'f']
    assert both.scores.shape == (6, 2) and len(both.groups) == 6
    with pytest.raises(ValueError, match=r'a\.png is in the test split of 2 folds'):
        pooled([found, dataclasses.replace(other, files=np.array(['d', 'a.png', 'e']))])


def test_an_ensemble_is_the_mean_of_probabilities(found):
    scores = np.array([[0.1, 0.9], [0.75, 0.25], [0.5, 0.5]])
    other = dataclasses.replace(found, scores=scores)
    mean = averaged([found, other])
    assert np.allclose(mean.scores, [[0.3, 0.7], [0.5, 0.5], [0.75, 0.25]])
    assert mean.files.tolist() == found.files.tolist()
    assert np.array_equal(averaged([found]).scores, found.scores)


def test_members_of_other_images_are_refused(found):
    other = dataclasses.replace(found, files=found.files[::-1])
    with pytest.raises(ValueError, match='the same images in another order'):
        averaged([found, other])
