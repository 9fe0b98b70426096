import pytest
import torch

from mmimbal.models.losses import CentreLoss
from mmimbal.registry import MODELS

K, D = 3, 4
LABELS = torch.tensor([0, 0, 0, 2])


def build(**options):
    loss = CentreLoss(K, D, **options)
    loss.centres.data.normal_()
    return loss


def test_value_and_gradient_of_images_are_those_of_the_distance():
    loss = build().double()
    points = torch.randn(4, D, dtype=torch.float64, requires_grad=True)
    value = loss(points, LABELS)
    expected = sum(
        0.5 * ((points[i] - loss.centres[LABELS[i]]) ** 2).sum() for i in range(4)
    )
    torch.testing.assert_close(value, expected / 4)
    value.backward()
    own = loss.centres.detach()[LABELS]
    torch.testing.assert_close(points.grad, (points.detach() - own) / 4)


@pytest.mark.parametrize('rate', [1.0, 0.5])
def test_gradient_of_centres_is_the_update_of_the_paper(rate):
    """The sum of c - x over the class, divided by 1 + n: a rare class is not slower."""
    loss = build(centre_rate=rate)
    points = torch.randn(4, D)
    loss(points, LABELS).backward()
    for c in range(K):
        members = [points[i] for i in range(4) if LABELS[i] == c]
        delta = sum((loss.centres[c] - x for x in members), torch.zeros(D))
        torch.testing.assert_close(
            loss.centres.grad[c], (rate * delta / (1 + len(members))).detach()
        )


def test_centres_reach_the_optimizer_through_the_head_and_find_the_means():
    head = MODELS.build(
        dict(
            type='mmimbal.MetricLearningClsHead',
            num_classes=K,
            in_channels=D,
            metric_loss=dict(type='mmimbal.CentreLoss'),
        )
    )
    head.init_weights()
    assert 'metric_loss.centres' in dict(head.named_parameters())
    optimizer = torch.optim.SGD(head.parameters(), 0.5)
    points, labels = torch.randn(30, D), torch.arange(30) % K
    for _ in range(100):
        optimizer.zero_grad()
        head.metric_loss(points, labels).backward()
        optimizer.step()
    means = torch.stack([points[labels == c].mean(0) for c in range(K)])
    torch.testing.assert_close(head.metric_loss.centres.data, means)


def test_bad_options_are_named():
    with pytest.raises(ValueError, match='centre_rate=0 must be positive'):
        CentreLoss(K, D, centre_rate=0)
    with pytest.raises(ValueError, match='takes no miner'):
        build()(torch.randn(4, D), LABELS, (0,))
