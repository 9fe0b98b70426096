"""The loss of a head must be one of its logits."""

import pytest
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from torch import nn

from mmimbal.engine.checks import head_loss
from mmimbal.engine.checks.head_loss import check_head_loss

SIZES = dict(num_classes=3, in_channels=4)


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(head_loss, 'print_log', lambda line, **_: lines.append(line))
    return lines


class Model(nn.Module):
    def __init__(self, loss, head='LinearClsHead', **options):
        super().__init__()
        init_default_scope('mmpretrain')
        cfg = dict(type=head, loss=dict(type=loss), **SIZES, **options)
        self.head = MODELS.build(cfg)


@pytest.mark.parametrize(
    'loss', ['mmimbal.SupConLoss', 'mmimbal.BatchAllTripletLoss', 'mmimbal.CircleLoss']
)
def test_a_loss_of_embeddings_is_refused(loss):
    with pytest.raises(ValueError, match='give it as metric_loss of'):
        check_head_loss(Model(loss))


@pytest.mark.parametrize(
    'loss', ['CrossEntropyLoss', 'FocalLoss', 'SeesawLoss', 'mmimbal.LADELoss']
)
def test_losses_of_logits_are_not(loss, said):
    options = dict(num_classes=3) if loss == 'SeesawLoss' else {}
    model = Model('CrossEntropyLoss')
    model.head.loss_module = MODELS.build(dict(type=loss, **options))
    check_head_loss(model)
    check_head_loss(nn.Linear(1, 1))  # no head
    assert not said


@pytest.mark.parametrize('loss', ['mmimbal.LDAMLoss', 'mmimbal.GCLLoss'])
def test_a_loss_of_cosines_is_for_cosines(loss, said):
    check_head_loss(Model(loss, 'mmimbal.CosineClsHead', scale=30.0))
    assert not said
    check_head_loss(Model(loss))
    (line,) = said
    assert 'use it with mmimbal.CosineClsHead(scale=30.0)' in line


@pytest.mark.parametrize('head', ['LWSClsHead', 'DisAlignClsHead', 'TauNormClsHead'])
def test_a_scale_for_each_class_is_no_scale_of_cosines(head, said):
    check_head_loss(Model('CrossEntropyLoss', f'mmimbal.{head}'))
    assert not said


@pytest.mark.parametrize('scale', [14.3, 1 / 0.07])
def test_a_scale_of_a_head_is_rounded_to_float32(scale, said):
    model = Model('CrossEntropyLoss', 'mmimbal.CosineClsHead', scale=scale)
    for factor in (1, 1.001):
        loss = MODELS.build(dict(type='mmimbal.LDAMLoss', scale=factor * scale))
        model.head.loss_module = loss
        if factor == 1:
            check_head_loss(model)
            continue
        with pytest.raises(ValueError, match=f'scale={scale:g}, but its loss has'):
            check_head_loss(model)
    assert not said
