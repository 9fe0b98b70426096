import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.preprocessing import normalize

from mmimbal.registry import MODELS

K, D = 3, 5


@pytest.fixture
def data():
    random = np.random.default_rng(0)
    labels = random.choice(K, 120, p=[0.7, 0.2, 0.1])
    features = random.normal(size=(120, D)) + 1.5 * np.eye(K, D)[labels]
    return features, labels, random.normal(size=(50, D)) + 0.5


def fitted(name, features, labels, **options):
    head = MODELS.build(
        dict(type=f'mmimbal.{name}', num_classes=K, in_channels=D, **options)
    )
    head.fit(torch.tensor(features), torch.tensor(labels))
    return head


def test_nearest_mean_is_that_of_scikit_learn(data):
    features, labels, new = data
    peer = NearestCentroid().fit(normalize(features), labels)
    head = fitted('NearestMeanClsHead', features, labels)
    found = head((torch.tensor(new),)).argmax(1)
    assert found.tolist() == peer.predict(normalize(new)).tolist()
    predicted = head.predict((torch.tensor(new),))
    assert [sample.pred_label.item() for sample in predicted] == found.tolist()


@pytest.mark.parametrize('k', [1, 7])
def test_neighbours_are_those_of_scikit_learn(data, k):
    features, labels, new = data
    peer = KNeighborsClassifier(k).fit(normalize(features), labels)
    head = fitted('KNNClsHead', features, labels, k=k, balanced=False)
    scores = head((torch.tensor(new),)).exp()
    expected = torch.tensor(peer.predict_proba(normalize(new))).float()
    torch.testing.assert_close(scores, expected, atol=1e-6, rtol=1e-5)


def test_balanced_votes_are_divided_by_the_class_counts(data):
    features, labels, new = data
    shares = fitted('KNNClsHead', features, labels, k=9, balanced=False)
    balanced = fitted('KNNClsHead', features, labels, k=9)
    votes = shares((torch.tensor(new),)).exp() * 9 / torch.tensor(np.bincount(labels))
    expected = votes / votes.sum(1, keepdim=True)
    found = balanced((torch.tensor(new),)).exp()
    torch.testing.assert_close(found, expected.float(), atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize('name', ['NearestMeanClsHead', 'KNNClsHead'])
def test_a_checkpoint_holds_all_it_needs(data, name):
    features, labels, new = data
    head = fitted(name, features, labels)
    loaded = MODELS.build(dict(type=f'mmimbal.{name}', num_classes=K, in_channels=D))
    loaded.load_state_dict(head.state_dict())
    assert loaded((torch.tensor(new),)).equal(head((torch.tensor(new),)))


def test_what_cannot_be_fitted_is_named(data):
    features, labels, _ = data
    with pytest.raises(ValueError, match=r'no training images of the classes \[2\]'):
        fitted('NearestMeanClsHead', features[labels < 2], labels[labels < 2])
    with pytest.raises(ValueError, match='k=200 neighbours of 120'):
        fitted('KNNClsHead', features, labels, k=200)
    with pytest.raises(ValueError, match='k=0 must be a whole number of at least 1'):
        fitted('KNNClsHead', features, labels, k=0)
    with pytest.raises(ValueError, match=r'k=2\.5 must be a whole number'):
        fitted('KNNClsHead', features, labels, k=2.5)


@pytest.mark.parametrize('name', ['NearestMeanClsHead', 'KNNClsHead'])
def test_cosines_are_in_full_precision_under_autocast(data, name):
    """Features of ReLU nets have cosines near 1, which bfloat16 cannot tell apart."""
    features, labels, new = (torch.tensor(each).float() for each in data)
    head = fitted(name, features.numpy() + 8, labels.long().numpy())
    expected = head((new + 8,))
    with torch.autocast('cpu', torch.bfloat16):
        found = head((new + 8,))
    assert found.dtype == torch.float32 and torch.equal(found, expected)
