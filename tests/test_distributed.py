"""Both stages on two ranks."""

import os
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook

from mmimbal.engine.ddp import unwrap_model
from tests.conftest import tiny_digits, train
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
    runner = train(cfg)
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


class Float64(Hook):
    """Let the backbone take images in float64, which its weights are in."""

    priority = 'VERY_HIGH'

    def before_train(self, runner):
        unwrap_model(runner.model).backbone.register_forward_pre_hook(
            lambda backbone, inputs: (inputs[0].double(),)
        )


def weights_of_steps(
    rank: int, world_size: int, leaf: str, work_dir: Path, stage1: Path | None
) -> list[dict]:
    """Train on a part of the same global batches; return weights after each step.

    In float64: what float32 rounds would pile up from step to step, and a triplet at
    the margin would count on one side only.
    """
    torch.set_default_dtype(torch.float64)  # of this process, which then ends
    cfg = tiny_digits(
        leaf.replace('views', 'triplet'), work_dir / f'{leaf}_{world_size}'
    )
    if world_size > 1:
        os.environ['LOCAL_RANK'] = str(rank)
        cfg.launcher = 'pytorch'
        cfg.model_wrapper_cfg = dict(type='MMDistributedDataParallel', device_ids=None)
    if stage1:
        cfg.default_hooks.two_stage.stage1 = str(stage1)
    cfg.model.backbone.norm_cfg = dict(type='GN', num_groups=2)  # none over the batch
    cfg.train_dataloader.dataset.pipeline = [dict(type='PackInputs')]
    cfg.train_dataloader.update(batch_size=32 // world_size, drop_last=True)
    if leaf == 'stage1_views':
        use_separate_views(cfg, world_size)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.default_hooks.checkpoint.save_best = None
    keep = KeepWeights()
    train(cfg, Float64(), keep)
    assert all(value.dtype == torch.float64 for value in keep.steps[-1].values())
    return keep.steps


def use_separate_views(cfg: Config, world_size: int) -> None:
    """Let the metric loss see two views of 16 other images."""
    cfg.model.data_preprocessor.type = 'mmimbal.MultiViewDataPreprocessor'
    cfg.model.head.separate_views = True
    cfg.train_dataloader.dataset.pipeline = [
        dict(type='mmimbal.ViewsByLoss', transforms=[[]]),
        dict(type='PackInputs'),
    ]
    cfg.train_dataloader.collate_fn = dict(type='mmimbal.stack_images')
    cfg.train_dataloader.update(batch_size=48 // world_size, drop_last=False)
    cfg.train_dataloader.dataset.indices = list(range(3, 291))  # full batches
    cfg.train_dataloader.batch_sampler = dict(
        type='mmimbal.PKBatchSampler',
        k=4,
        natural_size=32 // world_size,
        separate_views=True,
    )


@pytest.mark.parametrize('leaf', ['stage1_triplet', 'stage1_views', 'stage2_crt'])
def test_two_ranks_take_the_steps_of_one_process(leaf, tmp_path):
    stage1 = None
    if leaf == 'stage2_crt':
        run_on_ranks(1, weights_of_steps, 1, 'stage1_triplet', tmp_path / 'first', None)
        stage1 = tmp_path / 'first' / 'stage1_triplet_1' / 'epoch_2.pth'
    (alone,) = run_on_ranks(1, weights_of_steps, 1, leaf, tmp_path, stage1)
    for steps in run_on_ranks(2, weights_of_steps, 2, leaf, tmp_path, stage1):
        assert len(steps) == len(alone) == 2 * (291 // 32)
        for ours, expected in zip(steps, alone, strict=True):
            for key in expected:
                torch.testing.assert_close(
                    ours[key], expected[key], rtol=1e-9, atol=1e-9, msg=key
                )
    moved = [key for key in alone[0] if not alone[0][key].equal(alone[-1][key])]
    assert moved and (stage1 is None or all(key.startswith('head') for key in moved))
