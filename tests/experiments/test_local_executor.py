import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mmimbal.experiments import jobs as jobs_module
from mmimbal.experiments.jobs import Job, failure_report, run_jobs
from mmimbal.experiments.local_executor import LocalExecutor, worker_environments
from tests.processes import PATIENCE


@dataclass(eq=False)
class Steps(Job):
    """A job of given steps."""

    name: str
    folder: Path
    given: list

    @property
    def log(self):
        return self.folder / f'{self.name}.txt'

    def steps(self, cores):
        yield from self.given
        (self.folder / f'{self.name}.done').touch()


def python(code):
    return ['-c', code]


def run(jobs, workers=2):
    return run_jobs(jobs, LocalExecutor(workers), 'Jobs')


def test_commands_and_functions_run_one_after_the_other(tmp_path):
    def function():
        print('from a function', torch.get_num_threads())
        (tmp_path / 'two').write_text((tmp_path / 'one').read_text() + '2')

    first = python(f"open('{tmp_path}/one', 'w').write('1'); print('from a command')")
    assert run([Steps('job', tmp_path, [first, None, function])]) == {}
    assert (tmp_path / 'two').read_text() == '12' and (tmp_path / 'job.done').exists()
    log = (tmp_path / 'job.txt').read_text().splitlines()
    assert log[0] == 'from a command' and log[1].startswith('from a function')


def test_jobs_that_another_process_works_on_come_last(tmp_path):
    order = tmp_path / 'order'

    def job(name, taken):
        made = Steps(
            name, tmp_path, [python(f"print('{name}', file=open('{order}', 'a'))")]
        )
        made.is_taken = lambda: taken
        return made

    assert run([job('a', True), job('b', False), job('c', False)], workers=1) == {}
    assert order.read_text().split() == ['b', 'c', 'a']


def test_a_failure_ends_its_job_and_no_other(tmp_path):
    def broken():
        raise OSError('the disk is full')

    def refused():
        raise ValueError('made with other settings')
        yield

    jobs = [
        Steps('command', tmp_path, [python("raise KeyError('x')"), python('1 / 0')]),
        Steps('function', tmp_path, [broken]),
        Steps('killed', tmp_path, [lambda: os.kill(os.getpid(), signal.SIGKILL)]),
        Steps('fine', tmp_path, [python('pass')]),
        Steps('refused', tmp_path, refused()),
    ]
    failed = run(jobs)
    assert failed.keys() == {'command', 'function', 'killed', 'refused'}
    assert failed['command'].startswith("KeyError: 'x' (see ")
    assert failed['function'].startswith('OSError: the disk is full (see ')
    assert failed['killed'].startswith('ended by SIGKILL')
    assert failed['refused'] == 'ValueError: made with other settings'
    assert [file.stem for file in tmp_path.glob('*.done')] == ['fine']
    text = failure_report(failed, 5, 'jobs')
    assert text.startswith(
        '4 of 5 jobs failed. Run the same command again to retry them:\n'
    )


def test_as_many_run_at_a_time_as_there_are_workers(tmp_path):
    """Each waits until both are there, which one alone could not."""
    code = (
        "from pathlib import Path; f = Path('{folder}'); (f / '{me}').touch()\n"
        "while not (f / '{other}').exists(): pass"
    )
    jobs = [
        Steps(me, tmp_path, [python(code.format(folder=tmp_path, me=me, other=other))])
        for me, other in (('a', 'b'), ('b', 'a'))
    ]
    assert run(jobs, workers=2) == {}
    started = []

    class Watched(Steps):
        def steps(self, cores):
            started.append(self.name)
            yield from super().steps(cores)

    executor = LocalExecutor(1)
    one, two = (Watched(name, tmp_path, [None]) for name in ('one', 'two'))
    executor.start(one)
    assert not executor.has_room()
    executor.poll()
    assert executor.poll() == [(one, '')] and executor.has_room()
    executor.start(two)
    assert started == ['one']  # a job begins when it is looked at


def test_what_stops_the_runner_stops_the_processes(tmp_path, monkeypatch):
    endless = python(
        f"open('{tmp_path}/begun', 'w').close()\nimport signal; signal.pause()"
    )
    jobs = [Steps(name, tmp_path, [endless, endless]) for name in ('a', 'b')]
    executor, processes = LocalExecutor(2), []

    def stop(seconds):
        processes[:] = [running.process for running in executor.running]
        if (tmp_path / 'begun').exists() and all(processes):
            raise KeyboardInterrupt

    clock = SimpleNamespace(sleep=stop, monotonic=time.monotonic)
    monkeypatch.setattr(jobs_module, 'time', clock)
    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs, executor, 'Jobs')
    assert [process.returncode for process in processes] == [-signal.SIGTERM] * 2
    assert executor.running == [] and not list(tmp_path.glob('*.done'))


def test_the_bar_counts_what_is_on_disk_from_before(tmp_path, monkeypatch):
    """That took no time of this call, or the time left would be far too short."""
    seen = {}

    class Bar(jobs_module.tqdm):
        def __init__(self, **options):
            seen.update(options)
            super().__init__(**options)

    class Half(Steps):
        size = 4

        def share_done(self):
            return 0.5

    monkeypatch.setattr(jobs_module, 'tqdm', Bar)
    run([Half('half', tmp_path, []), Steps('new', tmp_path, [])])
    assert (seen['initial'], seen['total']) == (2.0, 5)


@pytest.mark.parametrize(
    ('visible', 'expected'), [(None, ['0', '1', '0']), ('5,GPU-a', ['5', 'GPU-a', '5'])]
)
def test_workers_share_the_gpus_that_are_visible(monkeypatch, visible, expected):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    if visible:
        monkeypatch.setenv('CUDA_VISIBLE_DEVICES', visible)
    found = [each['CUDA_VISIBLE_DEVICES'] for each in worker_environments(3)]
    assert found == expected


def test_no_worker_is_refused():
    with pytest.raises(ValueError, match='workers=0 must be at least 1'):
        LocalExecutor(0)


THREADS = """
import torch
from pathlib import Path
from mmimbal.experiments.jobs import Job, run_jobs
from mmimbal.experiments.local_executor import LocalExecutor

def work():
    conv = torch.nn.Conv2d(16, 16, 3)
    conv(torch.randn(32, 16, 40, 40)).sum().backward()
    torch.randn(600, 600) @ torch.randn(600, 600)

class Work(Job):
    name, log = 'work', Path('work.txt')

    def steps(self, cores):
        yield work

torch.set_num_threads(2)
work()
print('failed:', run_jobs([Work()], LocalExecutor(1), 'Jobs'))
"""


def test_a_fork_does_not_wait_for_threads_that_it_does_not_have(tmp_path):
    """Its parent has computed with several of them."""
    (tmp_path / 'threads.py').write_text(THREADS)
    done = subprocess.run(
        [sys.executable, 'threads.py'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert 'failed: {}' in done.stdout
