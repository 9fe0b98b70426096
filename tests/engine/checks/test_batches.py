"""Batches that are not those that the head expects are an error before training."""

import pytest
from mmengine.dataset import DefaultSampler
from mmpretrain.registry import MODELS

from mmimbal.engine.checks import batches
from mmimbal.engine.checks.batches import check_ranks
from tests.conftest import tiny_digits, train


def test_natural_size_must_be_that_of_the_head(tmp_path):
    cfg = tiny_digits('stage1_triplet', tmp_path)
    cfg.train_dataloader.batch_sampler = dict(
        type='mmimbal.PKBatchSampler', k=4, natural_size=24
    )
    with pytest.raises(
        ValueError, match='natural_size=24, but the head has natural_size=None'
    ):
        train(cfg)


def test_heads_of_mmpretrain_see_whole_batches(tmp_path):
    cfg = tiny_digits('stage1_ce', tmp_path, train_cfg__max_epochs=1)
    cfg.train_dataloader.batch_sampler = dict(
        type='mmimbal.PKBatchSampler', k=4, natural_size=24
    )
    assert train(cfg).epoch == 1


def head_with(loss):
    cfg = dict(type='LinearClsHead', num_classes=2, in_channels=3, loss=loss)
    return MODELS.build(cfg)


class Uneven:
    def __init__(self, round_up):
        self.sampler = DefaultSampler(range(7), round_up=round_up)


SIZES = dict(num_classes=2, in_channels=4)
METRIC = dict(metric_loss=dict(type='mmimbal.SupConLoss'))


@pytest.mark.parametrize(
    ('name', 'cfg'),
    [
        ('MetricLearningClsHead', dict(SIZES, **METRIC)),
        ('CausalClsHead', SIZES),
        ('CosineMeansClsHead', SIZES),
        ('LADELoss', None),
    ],
)
def test_ranks_with_batches_of_other_sizes(name, cfg, monkeypatch):
    if cfg:
        head = MODELS.build(dict(cfg, type=f'mmimbal.{name}'))
    else:
        head = head_with(dict(type=f'mmimbal.{name}'))
    monkeypatch.setattr(batches, 'get_world_size', lambda: 2)
    check_ranks([head], Uneven(round_up=True))
    plain = head_with(dict(type='CrossEntropyLoss'))
    check_ranks([plain], Uneven(round_up=False))
    with pytest.raises(ValueError, match=f'7 images on 2 ranks, .* but {name} needs'):
        check_ranks([head], Uneven(round_up=False))
    monkeypatch.setattr(batches, 'get_world_size', lambda: 1)
    check_ranks([head], Uneven(round_up=False))


def test_precise_bn_needs_a_batch_size(tmp_path):
    cfg = tiny_digits('stage1_ce', tmp_path)
    cfg.train_dataloader.batch_sampler = dict(type='mmimbal.PKBatchSampler', k=4)
    cfg.custom_hooks = [*cfg.get('custom_hooks', []), dict(type='PreciseBNHook')]
    with pytest.raises(ValueError, match='PreciseBNHook reads the batch size'):
        train(cfg)
