"""Long runs: memory stays flat, and nothing is left open."""

import os

import pytest
from mmengine.hooks import Hook
from mmengine.runner import Runner

from tests.conftest import tiny_digits, train

pytestmark = pytest.mark.soak
WARM_UP, STEPS = 300, 2000


def resident() -> int:
    """Return the memory of this process, bytes."""
    with open('/proc/self/statm') as file:
        return int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')


class WatchMemory(Hook):
    def __init__(self):
        self.seen = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.seen.append(resident())


def test_memory_stays_flat(tmp_path, capsys):
    """Stage 1 with a memory of embeddings and all monitors."""
    cfg = tiny_digits('stage1_triplet', tmp_path, train_cfg__val_interval=20)
    batches = 5
    cfg.train_cfg.max_epochs = STEPS // batches
    cfg.default_hooks.checkpoint.update(interval=20, max_keep_ckpts=2)
    cfg.model.head.metric_loss = dict(
        type='mmimbal.ClassBalancedMemory',
        slots=50,
        loss=dict(type='mmimbal.BatchAllTripletLoss'),
    )
    watch = WatchMemory()
    runner = Runner.from_cfg(cfg)
    runner.register_hook(watch)
    runner.train()
    assert len(watch.seen) == STEPS
    begin, end = (max(watch.seen[n - 100 : n]) for n in (WARM_UP, STEPS))
    with capsys.disabled():
        print(
            f'\n{STEPS} steps: {begin / 2**20:.1f} MiB after {WARM_UP}, '
            f'{end / 2**20:.1f} MiB at the end'
        )
    assert end < 1.05 * begin


def open_files() -> list[str]:
    """Return what this process holds open, logs of mmengine apart."""
    found = []
    for name in os.listdir('/proc/self/fd'):
        try:
            path = os.readlink(f'/proc/self/fd/{name}')
        except FileNotFoundError:
            continue
        if not path.endswith(('.log', '.json')):
            found.append(path)
    return found


def test_stage_switches_leave_nothing_open(tmp_path, capsys):
    def switch(number):
        cfg = tiny_digits('two_stage_triplet_crt', tmp_path / str(number))
        cfg.default_hooks.two_stage.epoch = 1
        cfg.train_dataloader.update(num_workers=1, persistent_workers=True)
        train(cfg)

    switch(0)
    before = len(open_files())
    for number in range(1, 51):
        switch(number)
    after = len(open_files())
    with capsys.disabled():
        print(f'\n50 switches: {before} open files before, {after} after')
    assert after <= before
