"""What holds for every plain method, in stage 1 and 2: from its base, in its head."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.structures import DataSample

from mmimbal.registry import MODELS
from tests.conftest import CONFIGS

BASES = [
    'stage1/etf',
    'stage1/experts',
    'stage1/lade',
    'stage1/max_norm',
    'stage1/remix',
    'stage1/seql',
    'stage2/causal',
    'stage2/cosine_means',
    'stage2/los',
]
COUNTS = np.array([60, 25, 10, 5])
K, D = len(COUNTS), 6


def build(name):
    cfg = Config.fromfile(CONFIGS / f'_base_/{name}.py')
    head = cfg.get('head') or cfg.stage2_head
    torch.manual_seed(0)
    head = MODELS.build(dict(head, num_classes=K, in_channels=D))
    head.init_weights()
    if hasattr(head, 'load_stage1'):
        head.load_stage1(dict(head.state_dict()))
    for module in head.modules():
        if hasattr(module, 'set_class_counts'):
            module.set_class_counts(COUNTS)
    return head


def set_epoch(head, epoch):
    for module in head.modules():
        if hasattr(module, 'set_epoch'):
            module.set_epoch(epoch)


def samples_of(labels):
    return [DataSample().set_gt_label(label) for label in labels]


@pytest.mark.parametrize('name', BASES)
@pytest.mark.parametrize(
    'labels', [[2] * 5, [1], [0, 1, 2, 3]], ids=['one class', 'one image', 'distinct']
)
def test_small_batches_have_a_finite_gradient(name, labels):
    head = build(name)
    for epoch in range(2):
        set_epoch(head, epoch)
        features = torch.randn(len(labels), D, requires_grad=True)
        value = head.loss((features,), samples_of(labels))['loss']
        value.backward()
        assert value.isfinite() and features.grad.isfinite().all()


@pytest.mark.parametrize('name', BASES)
def test_the_loss_is_float32_and_finite_under_autocast(name):
    head, labels = build(name), [0, 0, 1, 2, 3]
    set_epoch(head, 0)
    features = torch.randn(5, D).bfloat16().requires_grad_()
    with torch.autocast('cpu', torch.bfloat16):
        value = head.loss((features,), samples_of(labels))['loss']
    value.backward()
    assert value.dtype == torch.float32 and value.isfinite()
    assert features.grad.isfinite().all() and features.grad.any()


@pytest.mark.parametrize(
    # Class means begin near 0; over-smoothed labels end near the logarithm of K.
    'name',
    [name for name in BASES if name not in ('stage2/cosine_means', 'stage2/los')],
)
def test_training_lowers_the_loss(name):
    """Of images that are apart."""
    head, labels = build(name), [0, 1, 2, 3] * 5
    torch.manual_seed(0)
    features = 3 * torch.eye(4, D).repeat(5, 1) + 0.1 * torch.randn(20, D)
    learned = [p for p in head.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(learned, 0.1)
    values = []
    for step in range(60):
        set_epoch(head, step // 30)
        optimizer.zero_grad()
        value = head.loss((features,), samples_of(labels))['loss']
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert np.mean(values[-5:]) < 0.9 * values[0]
