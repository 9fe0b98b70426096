from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.fileio import get_file_backend
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.runner.checkpoint import CheckpointLoader

from mmimbal.files.atomic import atomic_write
from mmimbal.files.checkpoint import load_from_local
from mmimbal.files.config_text import CachedTextConfig
from mmimbal.files.save_checkpoint import AtomicBackend
from tests.conftest import tiny_digits, train


class Look(Hook):
    """Note the loader and the file backend during a run; perhaps fail in it."""

    def __init__(self, fails=False):
        self.fails, self.seen = fails, []

    def _look(self):
        backend = type(get_file_backend('x'))
        self.seen.append((backend, CheckpointLoader._schemes['']))

    def before_save_checkpoint(self, runner, checkpoint):
        self._look()

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self._look()
        if self.fails:
            raise KeyError('stop')


def state():
    loaders, backend = dict(CheckpointLoader._schemes), type(get_file_backend('x'))
    return loaders, backend, set(torch.serialization.get_safe_globals())


@pytest.mark.parametrize('fails', [False, True])
def test_a_run_leaves_the_process_as_it_was(tmp_path, fails):
    before, look = state(), Look(fails)
    runner = Runner.from_cfg(tiny_digits('stage1_ce', tmp_path))
    runner.register_hook(look)
    try:
        runner.train()
    except KeyError:
        assert fails
    assert state() == before
    plain = (before[1], before[0][''])
    assert look.seen[0] == plain  # also while it runs
    if not fails:
        assert (AtomicBackend, before[0]['']) in look.seen
        assert 'save_checkpoint' not in vars(runner)
        assert isinstance(runner.cfg, CachedTextConfig)


def test_text_of_the_config_in_a_checkpoint(tmp_path):
    cfg = tiny_digits('stage1_ce', tmp_path)
    runner = Runner.from_cfg(cfg)
    runner.train()
    expected = cfg.pretty_text
    for epoch in (1, 2):
        file = Path(tmp_path, f'epoch_{epoch}.pth')
        assert load_from_local(file)['meta']['cfg'] == expected


def test_without_it_mmengine_writes_and_loads_by_itself(tmp_path):
    cfg = tiny_digits('stage1_ce', tmp_path)
    del cfg.default_hooks['safe_checkpoint']
    runner, look = Runner.from_cfg(cfg), Look()
    runner.register_hook(look)
    runner.train()
    assert {backend for backend, _ in look.seen} == {state()[1]}


def test_unfinished_checkpoints_of_killed_runs_are_removed(tmp_path):
    """Those that a process is writing are not."""
    (tmp_path / 'epoch_9.pth.123-4.unfinished').touch()
    with atomic_write(tmp_path / 'other') as unfinished:
        unfinished.write_text('half')
        train(tiny_digits('stage1_ce', tmp_path))
        assert list(tmp_path.glob('*.unfinished')) == [unfinished]
    assert (tmp_path / 'other').read_text() == 'half'


ONE_CYCLE = dict(type='OneCycleLR', eta_max=0.1, total_steps=10, by_epoch=False)


def with_one_cycle(cfg):
    cfg.param_scheduler = ONE_CYCLE


def with_metainfo(cfg):
    cfg.train_dataloader.dataset.metainfo = dict(of=dict(a='Apple', b=(1, 2)))


@pytest.mark.parametrize('change', [with_one_cycle, with_metainfo])
def test_what_a_run_has_written_it_can_resume(tmp_path, change):
    """Schedules keep functions; configs make their own dicts of metainfo."""

    def config(folder, **options):
        cfg = tiny_digits('stage1_ce', tmp_path / folder, **options)
        change(cfg)
        return cfg

    class Stop(Hook):
        def before_train_epoch(self, runner):
            if runner.epoch == 1:
                raise KeyboardInterrupt

    whole = train(config('whole'))
    with pytest.raises(KeyboardInterrupt):
        train(config('run'), Stop())
    resumed = train(config('run', resume=True))
    ours, expected = (run.model.state_dict() for run in (resumed, whole))
    assert all(ours[key].equal(expected[key]) for key in expected)
    meta = load_from_local(tmp_path / 'run' / 'epoch_2.pth')['meta']
    if change is with_metainfo:
        assert meta['dataset_meta']['of'] == dict(a='Apple', b=(1, 2))


def test_what_other_hooks_add_is_made_plain_too(tmp_path):
    class Add(Hook):
        def before_save_checkpoint(self, runner, checkpoint):
            checkpoint['meta'].update(path=Path('x'), names=np.array(['a']))
            checkpoint.update(mine=Path('x'), others=np.array(['b']))

    train(tiny_digits('stage1_ce', tmp_path, train_cfg__max_epochs=1), Add())
    checkpoint = load_from_local(tmp_path / 'epoch_1.pth')
    meta = checkpoint['meta']
    assert meta['names'] == ['a'] and 'path' not in meta
    assert checkpoint['others'] == ['b'] and 'mine' not in checkpoint


def test_keys_are_left_out_of_a_published_file(tmp_path):
    """CheckpointHook loads the last checkpoint for it, after training."""
    cfg = tiny_digits('stage1_ce', tmp_path, train_cfg__max_epochs=1)
    cfg.default_hooks.checkpoint.published_keys = ['meta', 'state_dict']
    runner = train(cfg)
    (file,) = tmp_path.glob('epoch_1-*.pth')
    assert set(load_from_local(file)) == {'meta', 'state_dict'}
    hooks = [hook for hook in runner.hooks if 'after_train' in vars(hook)]
    assert not hooks and 'load_or_resume' not in vars(runner)
