"""Grids of experiments: killed, failed, chosen from, and gone on with."""

import os
import shutil
import signal
import sys

import pytest

from mmimbal.files.lock import InUseError, locked
from tests.conftest import CONFIGS, ROOT
from tests.processes import (
    PATIENCE,
    last_epoch,
    start,
    wait_for_the_end_of_group,
    wait_until,
)
from tests.tools import OPTIONS, explain, fail, forked_jobs, succeed

EPOCHS = 3
GRID = """
title = 'Digits'
datasets = dict(digits=dict())
seeds = [0]
options = {
    'model.backbone.stem_channels': 4,
    'model.backbone.base_channels': 4,
    'model.head.in_channels': 32,
    'train_cfg.max_epochs': EPOCHS,
}
methods = dict(
    ce=dict(config='LEAVES/stage1_ce.py', stage2=['crt', 'nearest_mean']),
    triplet=dict(config='LEAVES/stage1_triplet.py', stage2=['crt'], metric=True),
)
"""
LEAF = """
_base_ = '{base}'
custom_imports = dict(imports='tests.pausing')
custom_hooks = [dict(type='mmimbal.PauseHook')]
"""
NAMES = ('digits_split_ce_seed0', 'digits_split_triplet_seed0')


def bench(folder, grid):
    flags = ['--work-dir', folder / 'work', '--results', folder / 'results']
    return ['tools/benchmark.py', grid, *flags, '--page', folder / 'page.md']


def results_of(folder):
    files = sorted((folder / 'results').rglob('*.json'))
    return {file.relative_to(folder): file.read_text() for file in files}


def written_at(folder):
    return {file: file.stat().st_mtime_ns for file in folder.rglob('*.pth')}


@pytest.fixture(scope='module')
def leaves(tmp_path_factory):
    """Return a folder of leaves whose trainings can be told to pause."""
    folder = tmp_path_factory.mktemp('leaves')
    for name in ('stage1_ce', 'stage1_triplet'):
        base = CONFIGS / 'digits_lt' / f'{name}.py'
        (folder / f'{name}.py').write_text(LEAF.format(base=base))
    return folder


@pytest.fixture(autouse=True)
def find_pausing(monkeypatch):
    monkeypatch.setenv('PYTHONPATH', str(ROOT))


def write_grid(file, leaves, epochs=EPOCHS):
    text = GRID.replace('LEAVES', str(leaves)).replace('EPOCHS', str(epochs))
    file.write_text(text)
    return file


@pytest.fixture(scope='module')
def whole(leaves, tmp_path_factory):
    """Return the folder of a benchmark that was never stopped, and its grid."""
    folder = tmp_path_factory.mktemp('whole')
    grid = write_grid(folder / 'digits.py', leaves)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('PYTHONPATH', str(ROOT))
        with forked_jobs():
            succeed(*bench(folder, grid))
    return folder, grid


@pytest.fixture
def copied(whole, tmp_path):
    """Return a copy of it."""
    folder, grid = whole
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    with forked_jobs():
        yield tmp_path, tmp_path / grid.name


def stop(folder, grid, epoch, number):
    """Stop a benchmark when both of its trainings pause after an epoch."""
    log = folder.parent / f'{signal.Signals(number).name}.txt'
    command = [sys.executable, *bench(folder, grid)]
    process = start(command, log, PAUSE_AFTER=str(epoch))
    trainings = [folder / 'work' / name / 'train' for name in NAMES]
    wait_until(
        lambda: all(last_epoch(work_dir) == epoch for work_dir in trainings),
        process,
        log,
    )
    if number == signal.SIGTERM:
        process.terminate()
    else:
        os.killpg(process.pid, number)
    code = process.wait(PATIENCE)
    wait_for_the_end_of_group(process.pid)  # trainings end too, which else would pause
    return code


@pytest.mark.slow
def test_a_benchmark_killed_and_run_again_gives_the_same(whole, tmp_path):
    expected = results_of(whole[0])
    assert len(expected) == 2 + 1 + 1
    page = (whole[0] / 'page.md').read_text()
    assert 'ce + nearest_mean' in page and 'Best row on test without' in page

    folder, grid = tmp_path / 'killed', whole[1]
    assert stop(folder, grid, 1, signal.SIGTERM) == 143
    assert stop(folder, grid, 2, signal.SIGKILL) == -signal.SIGKILL
    assert not list((folder / 'results').rglob('*seed0.json'))
    succeed(*bench(folder, grid))
    assert results_of(folder) == expected
    assert (folder / 'page.md').read_text() == page


@pytest.mark.slow
def test_a_training_that_outlives_its_benchmark_keeps_others_out(whole, tmp_path):
    """The next benchmark waits for it, and then goes on from what it has left."""
    folder, grid = tmp_path / 'outlived', whole[1]
    log = tmp_path / 'first.txt'
    command = [sys.executable, *bench(folder, grid), '--only', NAMES[0]]
    first = start(command, log, PAUSE_AFTER='1')
    run = folder / 'work' / NAMES[0]
    wait_until(lambda: last_epoch(run / 'train') == 1, first, log)
    first.kill()  # and not its training, which waits
    first.wait()
    flags = ['--work-dir', run / 'train', '--cfg-options', *OPTIONS]
    message = fail('tools/train.py', 'configs/digits_lt/stage1_ce.py', *flags)
    assert f'another run trains in {run / "train"}' in message
    second = start(command, tmp_path / 'second.txt')
    wait_until(lambda: is_at_work_on(run), second, tmp_path / 'second.txt')
    os.killpg(first.pid, signal.SIGKILL)
    assert second.wait(PATIENCE) == 0
    result = f'results/digits/runs/{NAMES[0]}.json'
    assert (folder / result).read_text() == (whole[0] / result).read_text()


def is_at_work_on(path):
    """Return whether a process holds the lock of a path."""
    try:
        with locked(path, wait=False):
            return False
    except InUseError:
        return True


def test_what_is_there_is_not_made_again_nor_taken_for_what_it_is_not(copied, leaves):
    folder, grid = copied
    trained = written_at(folder)
    assert explain('benchmark', *bench(folder, grid)[1:]) is None
    write_grid(grid, leaves, EPOCHS + 1)
    stopped = explain('benchmark', *bench(folder, grid)[1:])
    assert f'{NAMES[0]}.json was made with other settings' in stopped
    changed = f'train_cfg.max_epochs was {EPOCHS}, now it is {EPOCHS + 1}'
    assert changed in stopped
    for file in (folder / 'results/digits/runs').iterdir():
        file.unlink()
    stopped = explain('benchmark', *bench(folder, grid)[1:])
    assert '2 of 2 experiments failed' in stopped
    assert f'work/{NAMES[0]} was made with other settings' in stopped
    assert trained and trained == written_at(folder)


def test_a_failure_is_reported_and_the_rest_finished(copied):
    folder, grid = copied
    text = grid.read_text()
    wrong = "metric=True, options={'model.head.metric_weight': -1}"
    grid.write_text(text.replace('metric=True', wrong))
    for name in NAMES:
        (folder / f'results/digits/runs/{name}.json').unlink()
    shutil.rmtree(folder / 'work' / NAMES[1])
    (folder / 'page.md').unlink()
    message = fail(*bench(folder, grid))
    assert (
        '1 of 2 experiments failed. Run the same command again to retry them' in message
    )
    assert f'{NAMES[1]}: train: metric_weight=-1' in message
    assert 'ce + crt' in (folder / 'page.md').read_text()


def test_a_pattern_chooses_experiments(copied):
    folder, grid = copied
    for name in NAMES:
        (folder / f'results/digits/runs/{name}.json').unlink()
    succeed(*bench(folder, grid), '--only', 'digits_split_ce_*')
    (found,) = (folder / 'results/digits/runs').iterdir()
    assert found.name == f'{NAMES[0]}.json'
    message = explain('benchmark', *bench(folder, grid)[1:], '--only', 'none')
    assert f'matches no experiment; the first name is {NAMES[0]}' in message
