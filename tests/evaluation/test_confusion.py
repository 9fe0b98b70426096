import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmpretrain.evaluation import ConfusionMatrix
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score

from mmimbal.evaluation.confusion import (
    balanced_accuracy,
    f1_per_class,
    group_recall,
    macro_f1,
    recall_per_class,
)

PAIRS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60
)


def confusion_of(pairs):
    labels, predictions = torch.tensor(pairs).T
    return ConfusionMatrix.calculate(predictions, labels, 6)


@pytest.mark.filterwarnings('ignore')
@given(PAIRS)
def test_equal_to_scikit_learn_whatever_is_absent(pairs):
    labels, predictions = np.array(pairs).T
    confusion = confusion_of(pairs)
    assert balanced_accuracy(confusion) == pytest.approx(
        balanced_accuracy_score(labels, predictions)
    )
    assert macro_f1(confusion) == pytest.approx(
        f1_score(labels, predictions, average='macro', zero_division=0)
    )
    recalls = recall_score(
        labels, predictions, labels=range(6), average=None, zero_division=np.nan
    )
    assert recall_per_class(confusion).numpy() == pytest.approx(recalls, nan_ok=True)


def test_by_hand():
    confusion = torch.tensor([[3, 1, 0], [1, 1, 0], [0, 0, 0]])
    assert recall_per_class(confusion)[:2].tolist() == [0.75, 0.5]
    assert f1_per_class(confusion)[:2].tolist() == [0.75, 0.5]
    assert recall_per_class(confusion)[2].isnan() and f1_per_class(confusion)[2].isnan()
    assert balanced_accuracy(confusion) == macro_f1(confusion) == 0.625
    assert group_recall(confusion, [1, 2]) == 0.5
