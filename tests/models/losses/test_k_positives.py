import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mmimbal.models.losses.k_positives import KPositivesLoss, draw_positives

LABELS = [0, 0, 0, 0, 1, 2] * 2
IMAGES = [0, 1, 2, 3, 4, 5] * 2  # two views of each


def naive(embeddings, positive, temperature):
    """The formula of the paper, image by image."""
    total = 0.0
    rows = [F.normalize(row, dim=0) for row in embeddings]
    for i, anchor in enumerate(rows):
        others = [j for j in range(len(rows)) if j != i]
        below = sum(torch.exp(anchor @ rows[j] / temperature) for j in others)
        own = [j for j in others if positive[i][j]]
        if own:
            logs = [
                torch.log(torch.exp(anchor @ rows[j] / temperature) / below)
                for j in own
            ]
            total = total - sum(logs) / len(own)
    return total / len(rows)


@pytest.mark.parametrize('k', [1, 2, 20])
def test_positives_are_the_other_view_and_k_of_the_class(k):
    labels, images = torch.tensor(LABELS), torch.tensor(IMAGES)
    seen = torch.zeros(len(labels), len(labels), dtype=torch.long)
    for seed in range(30):
        random = np.random.default_rng(seed)
        positive = draw_positives(labels, images, k, random)
        for i in range(len(labels)):
            drawn = [
                j for j in range(len(labels)) if positive[i, j] and j != (i + 6) % 12
            ]
            assert positive[i, (i + 6) % 12] and not positive[i, i]
            assert all(labels[j] == labels[i] for j in drawn)
            assert len(drawn) == min(k, 6 if labels[i] == 0 else 0)
        seen += positive
    assert (seen[0, [1, 2, 3, 7, 8, 9]] > 0).all()  # each has its turn


def test_value_and_gradient_equal_the_paper():
    loss = KPositivesLoss(k=2, temperature=0.3)
    labels, images = torch.tensor(LABELS), torch.tensor(IMAGES)
    ours = torch.randn(12, 5, dtype=torch.float64, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    positive = draw_positives(labels, images, 2, np.random.default_rng(0))
    value = loss(ours, labels, images=images)
    expected = naive(theirs, positive, 0.3)
    torch.testing.assert_close(value, expected)
    value.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_common_classes_have_no_more_positives_than_k():
    """Which is what SupCon gets wrong: its sum has n - 1 of them."""
    labels = torch.tensor([0] * 50 + [1] * 3)
    positive = draw_positives(labels, None, 2, np.random.default_rng(0))
    assert positive.sum(1).tolist() == [2] * 53


def test_draws_change_from_step_to_step_and_go_on_after_resuming():
    loss, labels = KPositivesLoss(k=1), torch.zeros(40, dtype=torch.long)
    embeddings = torch.randn(40, 5)
    first, second = loss(embeddings, labels), loss(embeddings, labels)
    assert not first.equal(second)
    resumed = KPositivesLoss(k=1)
    resumed.load_state_dict(loss.state_dict())
    assert resumed(embeddings, labels).equal(loss(embeddings, labels))
    state = loss.state_dict()['draws'].item()
    loss.eval()(embeddings, labels)
    assert loss.draws == state == 3
    again = loss.eval()(embeddings, labels)
    loss.load_state_dict(KPositivesLoss(k=1).state_dict())
    assert loss(embeddings, labels).equal(first) and not again.equal(first)


def test_bad_options_are_named():
    with pytest.raises(ValueError, match='k=0 must be a whole number'):
        KPositivesLoss(k=0)
    with pytest.raises(ValueError, match='takes no miner'):
        KPositivesLoss()(torch.randn(2, 4), torch.zeros(2).long(), (0,))
    assert math.isfinite(KPositivesLoss()(torch.randn(1, 4), torch.zeros(1).long()))
