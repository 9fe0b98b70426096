import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample
from torch import nn
from torch.nn import functional as F

from mmimbal.registry import MODELS

K, D = 3, 5
COUNTS = np.array([80, 15, 5])
LABELS = torch.tensor([0, 1, 2, 0, 0, 1])
SAMPLES = [DataSample().set_gt_label(int(label)) for label in LABELS]


def build(num_classes=K, in_channels=D, counts=COUNTS, **options):
    head = MODELS.build(
        dict(
            type='mmimbal.ExpertsClsHead',
            num_classes=num_classes,
            in_channels=in_channels,
            **options,
        )
    )
    head.init_weights()
    for module in head.modules():
        if hasattr(module, 'set_class_counts'):
            module.set_class_counts(counts)
    return head


def test_each_expert_learns_its_prior_and_logits_are_averaged():
    head, features = build(), torch.randn(6, D, requires_grad=True)
    prior = torch.tensor(COUNTS / COUNTS.sum()).log().float()
    parts = [F.linear(features, e.weight, e.bias) for e in head.experts]
    losses = [
        F.cross_entropy(logits + tau * prior, LABELS)
        for tau, logits in zip((0, 1, 2), parts, strict=True)
    ]
    loss = head.loss((features,), SAMPLES)['loss']
    torch.testing.assert_close(loss, sum(losses) / 3)
    torch.testing.assert_close(head((features,)), sum(parts) / 3)
    loss.backward()
    assert all(p.grad.any() for p in head.parameters()) and features.grad.any()
    scores = [sample.pred_score for sample in head.predict((features,))]
    torch.testing.assert_close(torch.stack(scores), (sum(parts) / 3).softmax(1))


def test_experts_begin_and_stay_different():
    first, second, third = (expert.weight for expert in build().experts)
    assert not first.equal(second) and not second.equal(third)
    assert first.std() < 0.03


def test_mixed_labels_are_taken():
    head, features = build(), (torch.randn(6, D),)
    mixed = [
        sample.clone().set_gt_score(F.one_hot(label, K).float())
        for sample, label in zip(SAMPLES, LABELS, strict=True)
    ]
    torch.testing.assert_close(
        head.loss(features, mixed)['loss'], head.loss(features, SAMPLES)['loss']
    )


def test_experts_are_for_common_all_and_rare_classes():
    """Two overlapping classes, 95 to 5: each expert says the rare one more often."""
    labels = torch.tensor([0] * 950 + [1] * 50)
    points = torch.randn(1000, 2) + 1.2 * labels[:, None]
    head = build(2, 2, np.array([950, 50]))
    samples = [DataSample().set_gt_label(labels)]
    optimizer = torch.optim.SGD(head.parameters(), 1.0)
    for _ in range(300):
        optimizer.zero_grad()
        head.loss((points,), samples)['loss'].backward()
        optimizer.step()
    said = (head.expert_logits((points,)).argmax(2) == 1)[labels == 1].float().mean(0)
    assert said[0] < said[1] - 0.2 and said[1] < said[2]
    mean = (head((points,)).argmax(1) == 1)[labels == 1].float().mean()
    assert abs(mean - said[1]) < 0.1  # of priors 0, 1 and 2, the mean is balanced


def test_under_autocast_the_loss_is_finite():
    head = build()
    with torch.autocast('cpu', torch.bfloat16):
        loss = head.loss((torch.randn(6, D),), SAMPLES)['loss']
    loss.backward()
    assert loss.dtype == torch.float32
    assert all(p.grad.isfinite().all() for p in head.parameters())


def test_what_is_missing_is_said():
    head = MODELS.build(
        dict(type='mmimbal.ExpertsClsHead', num_classes=K, in_channels=D)
    )
    with pytest.raises(RuntimeError, match='ClassCountsHook'):
        head.loss((torch.randn(6, D),), SAMPLES)
    with pytest.raises(ValueError, match='taus is empty'):
        build(taus=[])
    with pytest.raises(ValueError, match='tau=-1 must not be negative'):
        build(taus=[0, -1])
    assert isinstance(head.experts, nn.ModuleList)
