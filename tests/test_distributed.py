"""Both stages on two ranks."""

import os
from pathlib import Path

import pytest
from mmengine.runner import Runner

from tests.conftest import tiny_digits
from tests.distributed import run_on_ranks


def train_on_rank(
    rank: int, leaf: str, work_dir: Path, stage1: Path | None, head: dict | None = None
) -> dict:
    """Train a leaf as a launcher would; return weights and what the rank drew."""
    os.environ['LOCAL_RANK'] = str(rank)
    cfg = tiny_digits(leaf, work_dir, launcher='pytorch')
    cfg.model_wrapper_cfg = dict(type='MMDistributedDataParallel', device_ids=None)
    cfg.model.head.update(head or {})
    if stage1:
        cfg.default_hooks.two_stage.stage1 = str(stage1)
    if leaf.startswith('two_stage'):
        cfg.default_hooks.two_stage.epoch = 1
    runner = Runner.from_cfg(cfg)
    runner.train()
    return dict(
        weights=runner.model.module.state_dict(),
        drawn=list(runner.train_dataloader.sampler),
    )


def check_ranks_agree(ranks: list[dict]) -> None:
    first, second = (rank['weights'] for rank in ranks)
    assert all(first[key].equal(second[key]) for key in first)  # BN statistics too
    assert ranks[0]['drawn'] != ranks[1]['drawn']


@pytest.fixture(scope='module')
def stage1(tmp_path_factory):
    folder = tmp_path_factory.mktemp('stage1')
    check_ranks_agree(run_on_ranks(2, train_on_rank, 'stage1_triplet', folder, None))
    return folder


def test_stage_1_and_stage_2(stage1, tmp_path):
    check_ranks_agree(run_on_ranks(2, train_on_rank, 'stage2_crt', tmp_path, stage1))


def test_single_run_with_weights_that_only_stage_1_trains(tmp_path):
    head = dict(embedding_size=8, metric_loss=dict(type='mmimbal.ProxyAnchorLoss'))
    leaf = 'two_stage_triplet_crt'
    check_ranks_agree(run_on_ranks(2, train_on_rank, leaf, tmp_path, None, head))
