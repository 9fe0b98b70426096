import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from mmimbal.evaluation import confusion as of

PAIRS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 3)),
    min_size=1,
    max_size=60,
)


@pytest.mark.filterwarnings('ignore')
@given(PAIRS)
def test_equal_to_scikit_learn_whatever_is_absent(pairs):
    labels, predictions, weights = np.array(pairs).T
    pair, weighted = (labels, predictions), dict(sample_weight=weights)
    confusion = sklearn.confusion_matrix(*pair, labels=range(6), **weighted)
    counts = of.count_predictions(labels, predictions, 6, weights[None].astype(float))
    for count, of_matrix in zip(counts, of.ConfusionCounts.of(confusion), strict=True):
        assert count[0].tolist() == of_matrix.tolist()
    counts = of.ConfusionCounts(*(count[0] for count in counts))
    expected = {
        of.balanced_accuracy: sklearn.balanced_accuracy_score(*pair, **weighted),
        of.accuracy: sklearn.accuracy_score(*pair, **weighted),
        of.macro_f1: sklearn.f1_score(
            *pair, average='macro', zero_division=0, **weighted
        ),
        of.matthews: sklearn.matthews_corrcoef(*pair, **weighted),
        of.kappa: sklearn.cohen_kappa_score(*pair, **weighted),
    }
    recalls = sklearn.recall_score(
        *pair, labels=range(6), average=None, zero_division=np.nan, **weighted
    )
    present = recalls[~np.isnan(recalls)]
    expected[of.worst_recall] = present.min()
    expected[of.g_mean] = present.prod() ** (1 / len(present))
    rest = [
        sklearn.recall_score(labels != k, predictions != k, **weighted)
        for k in sorted(set(labels))
    ]
    if len(rest) > 1:
        expected[of.specificity] = np.mean(rest)
    for metric, value in expected.items():
        found = metric(counts)
        assert found == pytest.approx(value, nan_ok=True, abs=1e-12), metric
    assert of.recall_per_class(counts) == pytest.approx(recalls, nan_ok=True)


def test_by_hand():
    counts = of.ConfusionCounts.of(np.array([[3, 1, 0], [1, 1, 0], [0, 0, 0]]))
    assert of.recall_per_class(counts)[:2].tolist() == [0.75, 0.5]
    assert of.f1_per_class(counts)[:2].tolist() == [0.75, 0.5]
    assert np.isnan(of.recall_per_class(counts)[2])
    assert np.isnan(of.f1_per_class(counts)[2])
    assert of.balanced_accuracy(counts) == of.macro_f1(counts) == 0.625
    assert of.group_recall(counts, [1, 2]) == 0.5
    assert of.specificity(counts) == pytest.approx((1 / 2 + 3 / 4) / 2)
    assert of.g_mean(counts) == pytest.approx(np.sqrt(0.75 * 0.5))


def test_specificity_of_one_class_is_not_defined():
    assert np.isnan(of.specificity(of.ConfusionCounts.of(np.array([[3, 1], [0, 0]]))))


def test_all_metrics_take_many_matrices_at_once():
    random = np.random.default_rng(0)
    matrices = random.integers(0, 5, (4, 3, 3))
    many = of.ConfusionCounts.of(matrices)
    each = [of.ConfusionCounts.of(matrix) for matrix in matrices]
    for metric in (of.balanced_accuracy, of.matthews, of.kappa, of.g_mean):
        assert metric(many) == pytest.approx(np.array([metric(one) for one in each]))
