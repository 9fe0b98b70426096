"""SupCon equals that of pytorch-metric-learning."""

import math

import pytest
import torch
from pytorch_metric_learning import losses

from mmimbal.models.losses import SupConLoss
from mmimbal.registry import MODELS

BATCHES = {
    'all classes have positives': [0, 1, 2, 0, 1, 2, 0, 0],
    'some images have none': [0, 1, 2, 3, 1, 1],
    'no image has one': [0, 1, 2, 3],
    'one class': [1, 1, 1],
    'one image': [1],
}


def value_and_gradient(loss, embeddings, *args):
    points = embeddings.clone().requires_grad_()
    value = loss(points, *args)
    value.backward()
    return value.item(), points.grad


def same(found, expected):
    assert found[0] == pytest.approx(expected[0], abs=1e-6)
    assert torch.allclose(found[1], expected[1], atol=1e-6)


@pytest.mark.parametrize('labels', BATCHES.values(), ids=BATCHES)
def test_it_equals_that_of_pml(labels):
    labels = torch.tensor(labels)
    embeddings = torch.randn(len(labels), 5, generator=torch.Generator().manual_seed(0))
    expected = value_and_gradient(losses.SupConLoss(0.2), embeddings, labels)
    same(value_and_gradient(SupConLoss(0.2), embeddings, labels), expected)


def test_images_whose_loss_is_rounded_to_0_do_not_count():
    embeddings = torch.tensor([[1.0, 0], [1, 0], [-1, 0], [0, 1]])
    labels = torch.tensor([0, 0, 1, 1])
    expected = value_and_gradient(losses.SupConLoss(0.05), embeddings, labels)
    assert expected[0] == pytest.approx(math.log(3))  # of one image: three equal ones
    same(value_and_gradient(SupConLoss(0.05), embeddings, labels), expected)


def test_it_is_the_mean_over_positives_of_the_log_softmax_of_others():
    labels = torch.tensor([0, 0, 1, 0])
    embeddings = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 2.0], [0.8, -0.6]])
    cosines = [[0, 0.6, 0.0, 0.8], [0.6, 0, 0.8, 0.0], [], [0.8, 0.0, -0.6, 0]]
    of_images = []
    for image in (0, 1, 3):
        logits = torch.tensor(cosines[image]) / 0.5
        denominator = sum(logits[n].exp() for n in range(4) if n != image).log()
        positives = [n for n in (0, 1, 3) if n != image]
        of_images.append(sum(denominator - logits[n] for n in positives) / 2)
    expected = sum(of_images).item() / 3
    assert SupConLoss(0.5)(embeddings, labels).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    'config',
    [
        dict(distance=dict(type='mmimbal.LpDistance')),
        dict(distance=dict(type='mmimbal.CosineSimilarity', power=2)),
        dict(distance=dict(type='mmimbal.CosineSimilarity', p=1)),
        dict(reducer=dict(type='mmimbal.MeanReducer')),
        dict(embedding_regularizer=dict(type='mmimbal.LpRegularizer')),
    ],
    ids=lambda config: next(iter(config)),
)
def test_other_options_are_those_of_pml(config):
    labels = torch.tensor([0, 1, 2, 3, 1, 1])
    embeddings = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
    built = {key: MODELS.build(value) for key, value in config.items()}
    expected = value_and_gradient(losses.SupConLoss(**built), embeddings, labels)
    ours = MODELS.build(dict(type='mmimbal.SupConLoss', **config))
    assert isinstance(ours, SupConLoss)
    same(value_and_gradient(ours, embeddings, labels), expected)
    plain = value_and_gradient(SupConLoss(), embeddings, labels)
    assert plain[0] != pytest.approx(expected[0], abs=1e-4)


def test_pairs_and_a_memory_are_used():
    labels = torch.tensor([0, 1, 0, 1])
    embeddings = torch.randn(4, 3, generator=torch.Generator().manual_seed(2))
    pairs = (torch.tensor([0]), torch.tensor([2]), torch.tensor([0]), torch.tensor([1]))
    others = embeddings.flip(0)
    for extra in ((pairs,), (None, others, labels)):
        expected = value_and_gradient(losses.SupConLoss(), embeddings, labels, *extra)
        same(value_and_gradient(SupConLoss(), embeddings, labels, *extra), expected)
