"""What goes wrong ends soon, with an error that names it, and is not trusted later."""

import multiprocessing
import os
import re
import resource
import signal
import sys
from pathlib import Path

import pytest
from mmengine.hooks import Hook

from mmimbal.files.checkpoint import load_from_local
from tests.conftest import tiny_digits, train
from tests.processes import (
    PATIENCE,
    children_of,
    free_port,
    last_epoch,
    processes,
    start,
    wait_for_the_end_of,
    wait_until,
)
from tests.tools import OPTIONS, succeed

PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(8, 8)),
    dict(type='PackInputs'),
]


def on_files(folder, work_dir, **options):
    """Return a config that trains on the images of a folder."""
    cfg = tiny_digits('stage1_triplet', work_dir, **options)
    cfg.model.head.num_classes = 3
    for split in ('train', 'val'):
        cfg[f'{split}_dataloader'].dataset = dict(
            type='mmimbal.CSVDataset',
            data_root=str(folder),
            split=split,
            test_mode=split != 'train',
            pipeline=PIPELINE,
        )
    return cfg


class Before(Hook):
    """Do something before an epoch."""

    def __init__(self, epoch, act):
        self.epoch, self.act = epoch, act

    def before_train_epoch(self, runner):
        if runner.epoch == self.epoch:
            self.act()


class During(Before):
    """Do something when the first batch of an epoch is there."""

    def before_train_epoch(self, runner):
        """Leave the beginning of the epoch alone."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.epoch == self.epoch and batch_idx == 0:
            self.act()


def test_a_full_disk(tmp_path):
    """The system lets no file grow beyond a size, as a full disk would."""
    messages = multiprocessing.get_context('fork').Queue()

    def run():
        def fill():
            size = (tmp_path / 'epoch_1.pth').stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))

        try:
            train(tiny_digits('stage1_triplet', tmp_path), Before(1, fill))
        except OSError as error:
            messages.put(str(error))

    process = multiprocessing.get_context('fork').Process(target=run)
    process.start()
    message = messages.get(timeout=PATIENCE)
    process.join(PATIENCE)
    assert 'epoch_2.pth' in message and 'File too large' in message
    assert not list(tmp_path.glob('*unfinished')) + list(tmp_path.glob('epoch_2*'))
    load_from_local(tmp_path / 'epoch_1.pth')
    train(tiny_digits('stage1_triplet', tmp_path, resume=True))


def test_a_work_dir_that_cannot_be_written(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(OSError, match=r'/file/work'):
        train(tiny_digits('stage1_triplet', tmp_path / 'file' / 'work'))


def error_of(cfg, hook) -> str:
    """Return how a training fails, in a process of its own.

    What an error leaves of a loader with workers ends at any time later. It seems that
    it can close file descriptors that others have by then.
    """
    context = multiprocessing.get_context('fork')
    receiver, sender = context.Pipe(duplex=False)

    def run():
        try:
            train(cfg, hook)
        except (RuntimeError, ConnectionError) as error:
            sender.send(str(error))

    process = context.Process(target=run)
    process.start()
    assert receiver.poll(PATIENCE)
    message = receiver.recv()
    process.kill()
    process.join()
    return message


@pytest.mark.parametrize('workers', [0, 2])
def test_a_dataset_that_vanishes(folder, tmp_path, workers):
    def remove():
        for path in (folder / 'images').iterdir():
            path.unlink()

    cfg = on_files(folder, tmp_path / 'run', train_dataloader__num_workers=workers)
    message = error_of(cfg, Before(1, remove))
    assert re.search(r'/images/train_\w+\.png cannot be loaded', message)


def test_a_worker_that_dies(folder, tmp_path):
    def kill():
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)

    cfg = on_files(folder, tmp_path / 'run', train_dataloader__num_workers=2)
    cfg.train_dataloader.batch_size = 2
    message = error_of(cfg, During(1, kill))
    # The second, if it died while it handed over a batch.
    assert 'DataLoader worker (pid' in message or 'Connection reset' in message


def test_a_class_that_vanishes_after_filtering(folder, tmp_path):
    """Only the images of the first class are left."""
    cfg = on_files(folder, tmp_path / 'run')
    cfg.train_dataloader.dataset.indices = 4
    with pytest.raises(ValueError, match='no training image of class b, c'):
        train(cfg)


# Epochs that never end by themselves.
ENDLESS = [*OPTIONS[:-1], 'train_cfg.max_epochs=1000000']
LEAF = 'configs/digits_lt/stage1_triplet.py'


def test_sigterm_ends_a_run_and_its_workers(tmp_path):
    log, run = tmp_path / 'log.txt', tmp_path / 'run'
    options = [*ENDLESS, 'train_dataloader.num_workers=2']
    flags = ['--work-dir', run, '--cfg-options', *options]
    process = start([sys.executable, 'tools/train.py', LEAF, *flags], log)
    wait_until(lambda: last_epoch(run) >= 2, process, log)

    def workers_of_an_epoch() -> dict:
        children = children_of(process.pid)
        return children if len(children) >= 2 else {}

    workers = wait_until(workers_of_an_epoch, process, log)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 143
    wait_for_the_end_of(workers)
    assert 'Stopped by SIGTERM: use --resume' in log.read_text()
    assert log.read_text().count('Stopped by SIGTERM') == 1
    load_from_local(run / f'epoch_{last_epoch(run)}.pth')


def test_a_rank_that_dies_takes_the_others_with_it(tmp_path):
    log, run = tmp_path / 'log.txt', tmp_path / 'run'
    flags = ['--work-dir', run, '--cfg-options', *ENDLESS]
    path = f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
    command = ['tools/dist_train.sh', LEAF, 2, *flags]
    process = start(command, log, PORT=str(free_port()), PATH=path)
    wait_until(lambda: last_epoch(run) >= 1, process, log)
    everything = children_of(process.pid)
    parents = {pid: parent for pid, (parent, *_) in processes().items()}
    (torchrun,) = (pid for pid in everything if parents.get(pid) == process.pid)
    _, second = sorted(pid for pid in everything if parents.get(pid) == torchrun)
    os.kill(second, signal.SIGKILL)
    assert process.wait(PATIENCE) != 0
    assert 'SIGKILL' in log.read_text() or 'Signal 9' in log.read_text()
    wait_for_the_end_of(everything)


def test_a_nan_names_the_run_to_blame(tmp_path):
    cfg = tiny_digits('stage1_triplet', tmp_path)
    cfg.optim_wrapper.optimizer.lr = 1e20
    with pytest.raises(FloatingPointError) as error:
        train(cfg)
    assert 'epoch 1' in str(error.value) or 'nan' in str(error.value).lower()


LISTS_THREADS = """
import atexit, runpy, sys
from pathlib import Path

def list_threads():
    for thread in Path('/proc/self/task').glob('*/comm'):
        print('THREAD', thread.read_text().strip())

atexit.register(list_threads)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
"""


def test_threads_of_gloo_end_before_python(tmp_path):
    """Python aborts the process if one of them drops a tensor while it ends."""
    (tmp_path / 'lists_threads.py').write_text(LISTS_THREADS)
    env = dict(RANK='0', WORLD_SIZE='1', LOCAL_RANK='0', MASTER_ADDR='127.0.0.1')
    output = succeed(
        *(tmp_path / 'lists_threads.py', 'tools/train.py'),
        *(LEAF, '--launcher', 'pytorch'),
        *('--work-dir', tmp_path / 'run', '--cfg-options', *OPTIONS),
        env=env | dict(MASTER_PORT=str(free_port())),
    )
    assert 'THREAD python' in output and 'THREAD pt_gloo' not in output
