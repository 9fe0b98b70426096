import numpy as np
import pytest
from sklearn import metrics as sklearn

from mmimbal.evaluation.metrics import (
    LOWER_IS_BETTER,
    NAMES,
    metrics_of,
    never_predicted,
    summarise,
)

CLASSES = ('a', 'b', 'c', 'd')


@pytest.fixture
def images():
    """Images of a, b and c; d is absent."""
    random = np.random.default_rng(0)
    labels = random.choice(3, 200, p=[0.7, 0.2, 0.1])
    logits = random.normal(size=(200, 4)) + 1.5 * np.eye(4)[labels]
    scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return scores, labels


def test_percent_of_what_scikit_learn_finds(images):
    scores, labels = images
    predictions = scores.argmax(1)
    found = summarise(*images, CLASSES, dict(head=[0], tail=[1, 2, 3], none=[]))
    recalls = sklearn.recall_score(
        labels, predictions, labels=range(3), average=None, zero_division=0
    )
    areas = [sklearn.roc_auc_score(labels == k, scores[:, k]) for k in range(3)]
    precisions = [
        sklearn.average_precision_score(labels == k, scores[:, k]) for k in range(3)
    ]
    expected = dict(
        auroc=np.mean(areas),
        average_precision=np.mean(precisions),
        mcc=sklearn.matthews_corrcoef(labels, predictions),
        brier=sklearn.brier_score_loss(labels, scores, labels=range(4)),
        head_recall=recalls[0],
        tail_recall=recalls[1:].mean(),
        worst_recall=recalls.min(),
    ) | {f'recall/{name}': r for name, r in zip('abc', recalls, strict=True)}
    for name, value in expected.items():
        assert found[name] == pytest.approx(100 * value), name
    assert set(NAMES) < set(found) and set(LOWER_IS_BETTER) < set(NAMES)
    assert not {'recall/d', 'none_recall'} & set(found)


def test_weights_are_how_often_an_image_counts(images):
    scores, labels = images
    times = np.random.default_rng(1).integers(0, 3, (3, 200))
    found = metrics_of(*images, CLASSES)(times.astype(float))
    for row, repeats in enumerate(times):
        again = summarise(
            np.repeat(scores, repeats, 0), np.repeat(labels, repeats), CLASSES
        )
        for name in NAMES:
            assert 100 * found[name][row] == pytest.approx(again[name]), name


@pytest.mark.parametrize('classes', [2, 3])
def test_one_class_alone(classes):
    scores = np.full((5, classes), 1 / classes)
    found = summarise(scores, np.zeros(5, int), [str(k) for k in range(classes)])
    assert found['balanced_accuracy'] == 100 and found['mcc'] == 0
    assert not {'auroc', 'specificity', 'kappa'} & set(found)


@pytest.mark.parametrize('bad', [np.nan, np.inf])
def test_a_score_that_is_not_finite_is_told(images, bad):
    images[0][7, 2] = bad
    with pytest.raises(ValueError, match=r'scores of 1 of 200 images .* image 7'):
        summarise(*images, CLASSES)


def test_no_images_and_other_shapes_are_told(images):
    with pytest.raises(ValueError, match='at least one image'):
        summarise(np.empty((0, 4)), np.empty(0, int), CLASSES)
    with pytest.raises(ValueError, match=r'\(200, 4\), but there are 200 images and 3'):
        summarise(*images, CLASSES[:3])


def test_classes_never_predicted():
    assert never_predicted(np.eye(4)[[0, 2, 2]], CLASSES) == ['b', 'd']


@pytest.mark.parametrize('label', [-1, 4])
def test_a_label_that_is_no_class_is_told(images, label):
    scores, labels = images
    labels = labels.copy()
    labels[3] = label
    with pytest.raises(ValueError, match=rf'{label}.*, but there are 4 classes'):
        summarise(scores, labels, CLASSES)
