"""What holds for every metric loss with a base: from its base, in its head."""

import copy

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.structures import DataSample
from torch import nn

from mmimbal.registry import MODELS
from tests.conftest import CONFIGS
from tests.distributed import run_on_ranks

NAMES = [
    'centre',
    'gpaco',
    'kcl',
    'proco',
    'range',
    'supervised_prototypes',
    'tsc',
]
COUNTS = np.array([60, 25, 10, 5])
K, D = len(COUNTS), 6
USUAL = [0, 0, 0, 1, 1, 2, 3, 0]


def build(name: str, **options) -> nn.Module:
    base = Config.fromfile(CONFIGS / f'_base_/stage1/{name}.py').head.to_dict()
    if 'embedding_size' in base:
        base['embedding_size'] = 5
    torch.manual_seed(0)
    head = MODELS.build(dict(base, num_classes=K, in_channels=D, **options))
    head.init_weights()
    for module in head.modules():
        if hasattr(module, 'set_class_counts'):
            module.set_class_counts(COUNTS)
    set_epoch(head, 0)
    return head


def set_epoch(head: nn.Module, epoch: int) -> None:
    for module in head.modules():
        if hasattr(module, 'set_epoch'):
            module.set_epoch(epoch)


def batch(labels: list[int], first: int = 0) -> tuple[torch.Tensor, list[DataSample]]:
    """Return features and samples of two views of each image."""
    samples = [
        DataSample(metainfo=dict(sample_idx=first + n)).set_gt_label(label)
        for n, label in enumerate(labels)
    ]
    generator = torch.Generator().manual_seed(first)
    features = torch.randn(2 * len(labels), D, generator=generator)
    return features, [*samples, *samples]


def metric_loss(head: nn.Module, features: torch.Tensor, samples: list) -> torch.Tensor:
    return head.loss((features,), samples)['loss_metric']


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_gradient_is_finite_and_not_zero_also_under_autocast(name, dtype):
    head = build(name)
    features, samples = batch(USUAL)
    features = features.to(dtype).requires_grad_()
    with torch.autocast('cpu', torch.bfloat16, enabled=dtype == torch.bfloat16):
        value = metric_loss(head, features, samples)
    assert value.dtype == torch.float32
    value.backward()
    assert features.grad.isfinite().all() and features.grad.any()
    own = [p.grad for p in head.metric_loss.parameters()]
    assert all(grad.isfinite().all() and grad.any() for grad in own)
    assert bool(own) == (name == 'centre')


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize(
    'labels', [[2] * 5, [1], [0, 1, 2, 3]], ids=['one class', 'one image', 'distinct']
)
def test_small_batches_are_finite_at_the_start_and_later(name, labels):
    head = build(name)
    features, samples = batch(labels)
    for epoch in range(3):
        set_epoch(head, epoch)
        leaf = features.clone().requires_grad_()
        value = metric_loss(head, leaf, samples)
        value.backward()
        assert value.isfinite() and leaf.grad.isfinite().all()


@pytest.mark.parametrize('name', NAMES)
def test_one_row_alone_is_finite(name):
    """As in the last batch, without a second view and without an index."""
    head = build(name)
    leaf = torch.randn(1, D, requires_grad=True)
    value = metric_loss(head, leaf, [DataSample().set_gt_label(3)])
    value.backward()
    assert value.isfinite() and leaf.grad.isfinite().all()


@pytest.mark.parametrize('name', NAMES)
def test_equal_images_are_finite(name):
    head = build(name)
    features, samples = batch(USUAL)
    leaf = torch.ones_like(features).requires_grad_()
    value = metric_loss(head, leaf, samples)
    value.backward()
    assert value.isfinite() and leaf.grad.isfinite().all()


@pytest.mark.parametrize('name', NAMES)
def test_training_lowers_it(name):
    head = build(name)
    features, samples = batch(USUAL)
    leaf = nn.Parameter(features)
    optimizer = torch.optim.SGD([leaf, *head.parameters()], 0.1)
    values = []
    for _ in range(30):
        optimizer.zero_grad()
        value = metric_loss(head, leaf, samples)
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert min(values[-5:]) < values[1]


@pytest.mark.parametrize('name', NAMES)
def test_a_resumed_run_goes_on_to_the_bit(name):
    head = build(name)
    for epoch in range(2):
        set_epoch(head, epoch)
        head.loss((batch(USUAL, epoch)[0],), batch(USUAL, epoch)[1])
    resumed = build(name)
    resumed.load_state_dict(copy.deepcopy(head.state_dict()))
    set_epoch(resumed, 2)
    set_epoch(head, 2)
    for first in (10, 20):
        features, samples = batch(USUAL, first)
        found = metric_loss(resumed, features, samples)
        assert found.equal(metric_loss(head, features, samples))


@pytest.mark.parametrize('name', NAMES)
def test_the_control_needs_nothing(name):
    """With weight 0 there is cross-entropy alone, without views, counts or epoch."""
    head = build(name, metric_weight=0.0)
    features, samples = batch(USUAL)
    assert set(head.loss((features[:8],), samples[:8])) == {'loss_cls'}


def losses_on_rank(rank: int, world_size: int) -> dict:
    """Train each head for three steps; return its losses, gradients and state."""
    results = {}
    for name in NAMES:
        head = build(name)
        found = []
        for step in range(3):
            set_epoch(head, step)
            parts = [batch(USUAL, 100 * step), batch(USUAL[::-1], 100 * step + 50)]
            mine = parts[rank : rank + 1] if world_size == 2 else parts
            features = torch.cat([part[0] for part in mine]).requires_grad_()
            samples = [sample for part in mine for sample in part[1]]
            head.zero_grad()
            value = metric_loss(head, features, samples)
            value.backward()
            found += [value.detach(), features.grad]
            found += [p.grad.clone() for p in head.metric_loss.parameters()]
        results[name] = found, dict(head.metric_loss.state_dict())
    return results


def test_two_ranks_equal_one_process():
    alone = losses_on_rank(0, 1)
    ranks = run_on_ranks(2, losses_on_rank, 2)
    for name in NAMES:
        (first, state), (second, other) = (rank[name] for rank in ranks)
        expected, expected_state = alone[name]
        for ours, theirs, wanted in zip(first, second, expected, strict=True):
            if len(wanted.shape) == 2 and len(wanted) == 32:  # gradient of features
                ours = torch.cat([ours, theirs]) / 2  # which DDP averages
            torch.testing.assert_close(ours, wanted, rtol=1e-4, atol=1e-6)
        for key, value in expected_state.items():
            assert state[key].equal(other[key]), (name, key)
            torch.testing.assert_close(state[key], value, rtol=1e-5, atol=1e-6)
