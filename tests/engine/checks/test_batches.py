"""Batches that are not those that the head expects are an error before training."""

import pytest

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
