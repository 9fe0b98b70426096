import pytest
import torch
from torch.nn import functional as F

from mmimbal.models.losses import RangeLoss


def naive(embeddings, labels, k, margin, within_weight, between_weight):
    """The formula of the paper, pair by pair."""
    points = [F.normalize(row, dim=0) for row in embeddings]
    classes = sorted(set(labels))
    within, means = [], []
    for c in classes:
        own = [p for p, label in zip(points, labels, strict=True) if label == c]
        means.append(sum(own) / len(own))
        pairs = [
            ((own[i] - own[j]) ** 2).sum()
            for i in range(len(own))
            for j in range(i + 1, len(own))
        ]
        if pairs:
            largest = sorted(pairs, reverse=True)[:k]
            within.append(len(largest) / sum(1 / d for d in largest))
    between = [
        ((means[i] - means[j]) ** 2).sum()
        for i in range(len(means))
        for j in range(i + 1, len(means))
    ]
    total = 0.0 * embeddings.sum() + within_weight * sum(within) / max(1, len(within))
    if between:
        total = total + between_weight * (margin - min(between)).clamp(min=0)
    return total


@pytest.mark.parametrize(
    'labels', [[0, 0, 0, 0, 1, 1, 2], [0, 0, 0, 0], [0, 1, 2], [1, 1, 0, 0, 0]]
)
@pytest.mark.parametrize(('k', 'margin'), [(1, 3.0), (2, 3.0), (5, 0.05)])
def test_value_and_gradient_equal_the_paper(labels, k, margin):
    ours = torch.randn(len(labels), 5, dtype=torch.float64, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    value = RangeLoss(k, margin, 0.5, 2.0)(ours, torch.tensor(labels))
    expected = naive(theirs, labels, k, margin, 0.5, 2.0)
    torch.testing.assert_close(value, expected)
    value.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_a_batch_without_a_pair_or_a_second_class_gives_zero_and_a_gradient():
    points = torch.randn(1, 4, requires_grad=True)
    value = RangeLoss()(points, torch.tensor([1]))
    value.backward()
    assert value == 0 and (points.grad == 0).all()


def test_images_that_are_twice_in_a_batch_are_finite():
    points = torch.randn(2, 4).repeat(2, 1).requires_grad_()
    RangeLoss()(points, torch.zeros(4).long()).backward()
    assert points.grad.isfinite().all() and points.grad.any()


def test_bad_options_are_named():
    with pytest.raises(ValueError, match='k=0 must be a whole number of at least 1'):
        RangeLoss(k=0)
    with pytest.raises(ValueError, match=r'k=2\.5 must be a whole number'):
        RangeLoss(k=2.5)
    with pytest.raises(ValueError, match='margin=-1'):
        RangeLoss(margin=-1)
    with pytest.raises(ValueError, match='takes no miner'):
        RangeLoss()(torch.randn(2, 4), torch.zeros(2).long(), (0,))
