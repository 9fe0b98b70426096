import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from mmimbal.evaluation.ranking import (
    Ranking,
    auroc,
    average_precision,
    ranked,
    to_add,
)

# Few different scores, so that there are many ties.
IMAGES = st.lists(
    st.tuples(st.integers(0, 6), st.booleans(), st.integers(0, 3), st.integers(1, 3)),
    min_size=1,
    max_size=50,
)


@pytest.mark.filterwarnings('ignore')
@given(IMAGES)
def test_equal_to_scikit_learn_with_ties_and_weights(images):
    scores, is_class, *weights = np.array(images).T
    scores, is_class = scores / 7, is_class.astype(bool)
    many = np.stack(weights).astype(float)
    counts = Ranking(scores, is_class).count(to_add(many))
    for metric, reference in (
        (auroc, roc_auc_score),
        (average_precision, average_precision_score),
    ):
        found = metric(counts, many.sum(1))
        for value, weight in zip(found, weights, strict=True):
            sides = {bool(side) for side in is_class[weight > 0]}
            if True not in sides or (metric is auroc and False not in sides):
                assert np.isnan(value)
            else:
                expected = reference(is_class, scores, sample_weight=weight)
                assert value == pytest.approx(expected)


def test_ranked_by_hand():
    scores = np.array([0.9, 0.5, 0.5, 0.1])
    is_class = np.array([True, False, True, False])
    hits, false_alarms = ranked(scores, is_class, np.array([[1.0, 1, 1, 1]]))
    assert hits.tolist() == [[1, 2, 2]]
    assert false_alarms.tolist() == [[0, 1, 2]]


def test_weights_that_are_no_counts_are_added_in_float64():
    assert to_add(np.full((1, 3), 0.1)).dtype == torch.float64
    assert to_add(np.ones((1, 3))).dtype == torch.float32
