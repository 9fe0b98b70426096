"""Systems that lack what Linux has: a CPU run works, or a sentence says why not."""

import os

import pytest

from mmimbal.datasets import CSVDataset, image_cache
from tests.tools import OPTIONS, succeed

# What Windows or macOS do not have, taken away before anything is imported.
HIDDEN = """
import sys
sys.modules['fcntl'] = None
import multiprocessing, os, runpy, signal
for module, names in {
    signal: ['SIGALRM', 'setitimer', 'alarm', 'ITIMER_REAL'],
    os: ['sched_getaffinity', 'fork'],
}.items():
    for name in names:
        delattr(module, name)
multiprocessing.get_all_start_methods = lambda: ['spawn']
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
"""


def test_a_run_without_locks_alarms_and_fork(tmp_path):
    (tmp_path / 'hidden.py').write_text(HIDDEN)
    options = [*OPTIONS, 'env_cfg.mp_cfg.mp_start_method=spawn']
    run = tmp_path / 'run'
    leaf = 'configs/digits_lt/stage1_triplet.py'
    flags = ['--work-dir', run, '--cfg-options', *options]
    succeed(tmp_path / 'hidden.py', 'tools/train.py', leaf, *flags)
    assert (run / 'epoch_1.pth').is_file() and not list(run.glob('*.unfinished'))
    flags = ['--methods', 'crt', 'nearest_mean', '--views', 1, '--seeds', 1]
    succeed(tmp_path / 'hidden.py', 'tools/stage2_sweep.py', run, *flags)
    assert 'nearest_mean' in (run / 'stage2_sweep' / 'sweep.txt').read_text()


def test_memory_that_cannot_be_shared_is_named(folder, monkeypatch):
    monkeypatch.setattr(image_cache, 'SHARED_MEMORY', os.devnull)
    pipeline = [dict(type='LoadImageFromFile')]
    with pytest.raises(OSError, match='does not have: set cache to a folder'):
        CSVDataset(str(folder), 'train', pipeline=pipeline, cache='ram')
