"""Epochs of loops that count iterations."""

from types import SimpleNamespace

import pytest
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.runner import IterBasedTrainLoop
from torch.utils.data import BatchSampler, DataLoader

from mmimbal.engine.hooks import stages
from mmimbal.engine.hooks.stages import current_epoch, last_epoch


@pytest.mark.parametrize('kind', [DefaultSampler, InfiniteSampler])
@pytest.mark.parametrize('ranks', [1, 4])
@pytest.mark.parametrize('in_batches', [False, True])
def test_a_pass_is_what_all_ranks_see_together(monkeypatch, kind, ranks, in_batches):
    """1000 images, 10 of each rank in a step: 100 or 25 steps."""
    module = 'mmengine.dataset.sampler.get_dist_info'
    monkeypatch.setattr(module, lambda: (0, ranks))
    monkeypatch.setattr(stages, 'get_world_size', lambda: ranks)
    images = range(1000)
    sampler = kind(images, seed=0)
    loader = DataLoader(images, 10, sampler=sampler)
    if in_batches:
        batches = BatchSampler(sampler, 10, drop_last=False)
        loader = DataLoader(images, batch_sampler=batches)
    runner = SimpleNamespace(
        train_loop=IterBasedTrainLoop.__new__(IterBasedTrainLoop),
        train_dataloader=loader,
        max_iters=1000,
        iter=0,
        hooks=[],
    )
    steps = 100 // ranks
    epochs = []
    for runner.iter in (0, steps - 1, steps, 2 * steps):
        epochs.append(current_epoch(runner))
    assert epochs == [0, 0, 1, 2]
    assert last_epoch(runner) == 1000 // steps
