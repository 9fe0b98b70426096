import numpy as np
import pytest
import torch
from mmpretrain.models.utils.batch_augments import RandomBatchAugment
from torch.nn import functional as F

from mmimbal.models.losses import RemixLoss
from mmimbal.models.losses.remix import remix

COUNTS = torch.tensor([90, 30, 29, 10])


def naive(i, j, share, kappa, tau):
    """The share that class i gets, by the formula of the paper."""
    if COUNTS[i] / COUNTS[j] >= kappa and share < tau:
        return 0.0
    if COUNTS[i] / COUNTS[j] <= 1 / kappa and 1 - share < tau:
        return 1.0
    return share


@pytest.mark.parametrize('share', [0.01, 0.3, 0.49, 0.51, 0.7, 0.99])
@pytest.mark.parametrize(('kappa', 'tau'), [(3.0, 0.5), (3.0, 0.7), (1.0, 0.5)])
def test_every_pair_is_as_in_the_paper(share, kappa, tau):
    for i in range(4):
        for j in range(4):
            row = share * F.one_hot(torch.tensor(i), 4) + (1 - share) * F.one_hot(
                torch.tensor(j), 4
            )
            given = naive(i, j, share, kappa, tau)
            expected = torch.zeros(4)
            expected[i] += given
            expected[j] += 1 - given
            found = remix(row[None], COUNTS, kappa, tau)[0]
            torch.testing.assert_close(found, expected)


@pytest.mark.parametrize('share', [0.4, 0.5, 0.6])
def test_of_equally_common_classes_the_larger_share_is_taken(share):
    """With kappa=1 the rule holds for both; labels must sum to 1."""
    row = torch.tensor([[share, 1 - share, 0.0]])
    found = remix(row, torch.tensor([30, 30, 5]), kappa=1.0, tau=0.7)
    assert found.sum() == 1 and found.max() == 1
    if share != 0.5:
        assert found.argmax() == row.argmax()


@pytest.mark.parametrize('name', ['Mixup', 'CutMix'])
def test_it_relabels_what_mmpretrain_mixes(name):
    np.random.seed(0)
    labels = torch.tensor([0, 0, 0, 3, 3, 3])
    augment = RandomBatchAugment(dict(type=name, alpha=1.0))
    _, mixed = augment(torch.rand(6, 3, 8, 8), F.one_hot(labels, 4))
    loss = RemixLoss()
    loss.set_class_counts(COUNTS.numpy())
    logits = torch.randn(6, 4, requires_grad=True)
    value = loss(logits, mixed)
    targets = remix(mixed, COUNTS, 3.0, 0.5)
    assert not targets.equal(mixed)
    expected = -(targets * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(value, expected)
    value.backward()
    assert logits.grad.isfinite().all() and logits.grad.any()


def test_plain_labels_are_plain_cross_entropy():
    loss, logits = RemixLoss(), torch.randn(4, 4)
    loss.set_class_counts(COUNTS.numpy())
    labels = torch.tensor([0, 1, 2, 3])
    torch.testing.assert_close(loss(logits, labels), F.cross_entropy(logits, labels))
    one_hot = F.one_hot(labels, 4).float()
    assert remix(one_hot, COUNTS, 1.0, 1.0).equal(one_hot)


def test_what_is_wrong_is_said():
    with pytest.raises(ValueError, match=r'mixture of 3 classes: Remix needs Mixup'):
        remix(torch.tensor([[0.2, 0.5, 0.3, 0.0]]), COUNTS, 3.0, 0.5)
    with pytest.raises(ValueError, match='kappa=0 must be at least 1'):
        RemixLoss(kappa=0)
    with pytest.raises(RuntimeError, match='ClassCountsHook'):
        RemixLoss()(torch.randn(4, 4), torch.rand(4, 4))
