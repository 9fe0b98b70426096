"""Batches that are not those that the head expects are an error before training."""

import pytest
from mmengine.dataset import DefaultSampler

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


class Head:
    metric_loss = None


class Uneven:
    def __init__(self, round_up):
        self.sampler = DefaultSampler(range(7), round_up=round_up)


def test_ranks_with_batches_of_other_sizes(monkeypatch):
    monkeypatch.setattr(batches, 'get_world_size', lambda: 2)
    check_ranks(Head(), Uneven(round_up=True))
    check_ranks(object(), Uneven(round_up=False))  # no metric loss
    with pytest.raises(ValueError, match='7 images on 2 ranks, with round_up=False'):
        check_ranks(Head(), Uneven(round_up=False))
    monkeypatch.setattr(batches, 'get_world_size', lambda: 1)
    check_ranks(Head(), Uneven(round_up=False))


def test_precise_bn_needs_a_batch_size(tmp_path):
    cfg = tiny_digits('stage1_ce', tmp_path)
    cfg.train_dataloader.batch_sampler = dict(type='mmimbal.PKBatchSampler', k=4)
    cfg.custom_hooks = [*cfg.get('custom_hooks', []), dict(type='PreciseBNHook')]
    with pytest.raises(ValueError, match='PreciseBNHook reads the batch size'):
        train(cfg)
