import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mmimbal.models.losses.k_positives import draw_positives
from mmimbal.models.losses.targeted import TargetedLoss, nearest_targets

LABELS, IMAGES = torch.tensor([0, 0, 0, 1, 2] * 2), torch.arange(5).repeat(2)
K, D = 3, 4


def naive(embeddings, positive, targets, weight, temperature):
    total = 0.0
    rows = [F.normalize(row, dim=0) for row in embeddings]
    for i, anchor in enumerate(rows):
        others = [rows[j] for j in range(len(rows)) if j != i]
        below = sum(torch.exp(anchor @ v / temperature) for v in [*others, *targets])
        own = [rows[j] for j in range(len(rows)) if positive[i][j]]
        logs = [torch.log(torch.exp(anchor @ v / temperature) / below) for v in own]
        pull = torch.exp(anchor @ targets[LABELS[i]] / temperature) / below
        total = total - sum(logs) / len(own) - weight * torch.log(pull)
    return total / len(rows)


def build(**options):
    loss = TargetedLoss(K, D, k=1, temperature=0.5, **options)
    loss.set_epoch(0)
    return loss


def test_value_and_gradient_equal_the_paper():
    loss = build(target_weight=0.7)
    loss.target_of = torch.tensor([2, 0, 1])
    targets = [loss.targets[n].double() for n in (2, 0, 1)]
    ours = torch.randn(10, D, dtype=torch.float64, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    positive = draw_positives(LABELS, IMAGES, 1, np.random.default_rng(0))
    value = loss(ours, LABELS, images=IMAGES)
    expected = naive(theirs, positive, targets, 0.7, 0.5)
    torch.testing.assert_close(value, expected)
    value.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_targets_go_to_the_classes_that_are_nearest_together():
    """Every assignment is tried by hand."""
    generator = torch.Generator().manual_seed(1)
    targets = F.normalize(torch.randn(5, 3, generator=generator))
    centres = torch.randn(5, 3, generator=generator)
    places = F.normalize(centres)
    sums = {
        order: sum((places[c] - targets[t]).norm() for c, t in enumerate(order))
        for order in itertools.permutations(range(5))
    }
    found = nearest_targets(centres, targets)
    assert tuple(found.tolist()) == min(sums, key=sums.get)
    centres[2] = 0  # not known: it gets what is left
    assert sorted(nearest_targets(centres, targets).tolist()) == [0, 1, 2, 3, 4]


def test_centres_are_moving_averages_of_batch_means():
    loss = build(momentum=0.75)
    first, second = torch.randn(10, D), torch.randn(10, D)
    loss(first, LABELS, images=IMAGES)
    labels = torch.where(LABELS == 2, 1, LABELS)
    loss(second, labels, images=IMAGES)
    means = [F.normalize(first)[c == LABELS].mean(0) for c in range(K)]
    for c in (0, 1):
        mean = F.normalize(second)[labels == c].mean(0)
        means[c] = 0.75 * means[c] + 0.25 * mean
    torch.testing.assert_close(loss.centres, torch.stack(means))


def test_targets_stay_within_an_epoch_and_move_at_the_next():
    loss = build()
    torch.testing.assert_close(loss.target_of, torch.arange(K))
    at_target = loss.targets[torch.tensor([1, 2, 0])][LABELS]
    loss(at_target, LABELS, images=IMAGES)
    assert loss.target_of.tolist() == [0, 1, 2]
    resumed = build()
    resumed.load_state_dict(loss.state_dict())
    for one in (loss, resumed):
        one.set_epoch(1)
        assert one.target_of.tolist() == [1, 2, 0]


def test_training_moves_every_class_to_its_target():
    labels = torch.tensor([0] * 20 + [1] * 2 + [2] * 2)
    embeddings = torch.nn.Parameter(torch.randn(len(labels), D))
    loss = TargetedLoss(K, D, k=2)
    optimizer = torch.optim.Adam([embeddings], 0.05)
    for epoch in range(150):
        loss.set_epoch(min(epoch // 10, 5))
        optimizer.zero_grad()
        loss(embeddings, labels).backward()
        optimizer.step()
    cosines = F.normalize(embeddings.detach()) @ loss.targets[loss.target_of].T
    assert cosines.argmax(1).equal(labels)
    assert cosines.amax(1).min() > 0.7


def test_in_the_warm_up_there_are_no_targets():
    loss = build(warmup_epochs=1)
    plain = super(TargetedLoss, build()).forward
    embeddings = torch.randn(10, D)
    found = loss(embeddings, LABELS, images=IMAGES)
    torch.testing.assert_close(found, plain(embeddings, LABELS, None, IMAGES))
    loss.set_epoch(1)
    assert loss(embeddings, LABELS, images=IMAGES) > found


def test_what_is_missing_is_said():
    with pytest.raises(RuntimeError, match='SetEpochHook'):
        TargetedLoss(K, D)(torch.randn(10, D), LABELS)
    with pytest.raises(ValueError, match='at least 2 classes are needed'):
        TargetedLoss(1, D)
    with pytest.raises(ValueError, match=r'momentum=1 must be in \[0, 1\)'):
        TargetedLoss(K, D, momentum=1)
