"""On a GPU the metric branch of a step costs little: few operations, and no waiting.

Operations are counted on the meta device, which computes nothing: an operation that
needs a value of a tensor, for which a GPU would have to wait, raises an error there.
"""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.structures import DataSample
from torch.utils._python_dispatch import TorchDispatchMode

from mmimbal.datasets.views import MetricIndex
from mmimbal.models.heads.rows import labels_of
from mmimbal.models.needs import give_epoch
from mmimbal.registry import MODELS
from tests.conftest import CONFIGS

# Operations of the metric branch, forward and backward: counted with torch 2.11, and
# some more for other versions.
MOST = dict(
    bcl=112,
    bcl_balanced=112,
    bcl_balanced_views=112,
    bcl_views=112,
    bcl_views_mixup=112,
    centre=52,
    class_centre=140,
    class_centre_quadruplet=188,
    class_centre_ranking=172,
    class_centre_views_mixup=140,
    gpaco=132,
    kcl=90,
    proco=260,
    range=150,
    recommended=88,
    supcon=88,
    supcon_balanced=88,
    supcon_views=88,
    supcon_views_mixup=88,
    supervised_prototypes=170,
    triplet=74,
    triplet_balanced=88,
    triplet_pk=74,
    tsc=146,
)
# Of pytorch-metric-learning, and the memory that passes it pairs: these wait.
WAITING = {
    'arcface',
    'circle',
    'multi_similarity',
    'proxy_anchor',
    'supcon_memory',
}
COUNTS = np.array([229, 359, 769, 80, 779, 4693, 100])
SIZE = 128


class Operations(TorchDispatchMode):
    """Counts operations that launch a kernel, and keeps the copies that wait."""

    def __init__(self) -> None:
        super().__init__()
        self.names = []
        self.waiting = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = func._schema.name.removeprefix('aten::')
        view = any(r.alias_info and not r.alias_info.is_write for r in returns(func))
        if isinstance(result, torch.Tensor) and not view and 'empty' not in name:
            self.names.append(name)
        moves = name == '_to_copy' and args[0].device != result.device
        if moves and not kwargs.get('non_blocking'):
            self.waiting.append(name)
        return result


def returns(func):
    return func._schema.returns


def step(head, device):
    """Return the operations of the losses of a head, and of their gradient."""
    labels = (torch.arange(SIZE) // 2 % len(COUNTS)).to(device)
    features = torch.zeros(SIZE, 32) if device == 'meta' else torch.randn(SIZE, 32)
    features = features.to(device).requires_grad_()
    samples = []
    for row in range(SIZE):
        for_cross_entropy = head.separate_views and row < SIZE // 2
        number = row + SIZE if for_cross_entropy else row // 2
        kind = MetricIndex if head.separate_views and not for_cross_entropy else int
        sample = DataSample(metainfo=dict(sample_idx=kind(number)))
        samples.append(sample.set_gt_label(labels[row : row + 1]))
    assert labels_of(samples).device.type == device
    with Operations() as operations:
        losses = head.loss((features,), samples)
        sum(value for name, value in losses.items() if 'loss' in name).backward()
    return operations


def operations_of(cfg, epoch):
    """Return the operations of a step on a GPU, which is not the first one."""
    head = MODELS.build(dict(cfg, num_classes=len(COUNTS), in_channels=32))
    for module in head.modules():
        if hasattr(module, 'set_class_counts'):
            module.set_class_counts(COUNTS)
    give_epoch(head.modules(), epoch, 40)
    step(head, 'cpu')
    head.to('meta')
    step(head, 'meta')
    return step(head, 'meta')


def head_of(name):
    return Config.fromfile(CONFIGS / f'_base_/stage1/{name}.py').head


def test_every_method_with_a_metric_loss_is_known():
    bases = (CONFIGS / '_base_/stage1').glob('*.py')
    found = {base.stem for base in bases if 'metric_loss' in head_of(base.stem)}
    assert found == set(MOST) | WAITING


@pytest.mark.parametrize('epoch', [0, 30])
@pytest.mark.parametrize('name', MOST)
def test_a_step_has_few_operations_and_waits_for_none(name, epoch, monkeypatch):
    # It is not known for the meta device.
    monkeypatch.setattr(torch, 'autocast', lambda *args, **kwargs: nullcontext())
    head = head_of(name)
    operations = operations_of(head, epoch)
    control = operations_of(dict(head, metric_weight=0.0), epoch)
    assert operations.waiting == control.waiting == []
    number = len(operations.names) - len(control.names)
    assert number <= MOST[name], operations.names
    assert number > 20
