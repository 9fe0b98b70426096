"""Both stages on two ranks."""

import os
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmimbal.engine.ddp import unwrap_model
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


class KeepWeights(Hook):
    """Keep the weights after every step."""

    def __init__(self) -> None:
        self.steps = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        state = unwrap_model(runner.model).state_dict()
        self.steps.append({key: value.clone() for key, value in state.items()})


def weights_of_steps(
    rank: int, world_size: int, leaf: str, work_dir: Path, stage1: Path | None
) -> list[dict]:
    """Train on a part of the same global batches; return weights after each step."""
    cfg = tiny_digits(leaf, work_dir / f'{leaf}_{world_size}')
    if world_size > 1:
        os.environ['LOCAL_RANK'] = str(rank)
        cfg.launcher = 'pytorch'
        cfg.model_wrapper_cfg = dict(type='MMDistributedDataParallel', device_ids=None)
    if stage1:
        cfg.default_hooks.two_stage.stage1 = str(stage1)
    cfg.model.backbone.norm_cfg = dict(type='GN', num_groups=2)  # none over the batch
    cfg.train_dataloader.dataset.pipeline = [dict(type='PackInputs')]
    cfg.train_dataloader.update(batch_size=32 // world_size, drop_last=True)
    keep = KeepWeights()
    runner = Runner.from_cfg(cfg)
    runner.register_hook(keep)
    runner.train()
    return keep.steps


@pytest.mark.parametrize('leaf', ['stage1_triplet', 'stage2_crt'])
def test_two_ranks_take_the_steps_of_one_process(leaf, tmp_path):
    stage1 = None
    if leaf == 'stage2_crt':
        weights_of_steps(0, 1, 'stage1_triplet', tmp_path / 'first', None)
        stage1 = tmp_path / 'first' / 'stage1_triplet_1'
    alone = weights_of_steps(0, 1, leaf, tmp_path, stage1)
    args = (2, weights_of_steps, 2, leaf, tmp_path, stage1)
    for steps in run_on_ranks(*args):
        assert len(steps) == len(alone) == 2 * (291 // 32)
        for ours, expected in zip(steps, alone, strict=True):
            for key in expected:
                assert torch.allclose(
                    ours[key].float(), expected[key].float(), rtol=1e-4, atol=1e-6
                ), key
    moved = [key for key in alone[0] if not alone[0][key].equal(alone[-1][key])]
    assert moved and (stage1 is None or all(key.startswith('head') for key in moved))
