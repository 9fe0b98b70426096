"""Run jobs on this machine, one on each GPU or on each core."""

import multiprocessing
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from joblib import cpu_count

from mmimbal.command_line.failures import ToolFailedError, raise_if_failed
from mmimbal.experiments.jobs import Job, Step

GRACE_PERIOD = 60  # seconds between terminating a process and killing it


@dataclass
class Running:
    """A job that was started.

    Attributes:
        job: The job.
        steps: Its remaining steps.
        environment: Environment variables of its processes.
        process: Process of the current step; ``None`` while the job waits.
        log_start: Position in the log where the current step begins, in bytes.
    """

    job: Job
    steps: Iterator[Step]
    environment: dict[str, str]
    process: subprocess.Popen | multiprocessing.Process | None = None
    log_start: int = 0


class LocalExecutor:
    """Run several jobs at the same time in child processes on this machine.

    Args:
        workers: Number of jobs at the same time. If ``None``, one for each GPU, or one
            for each core without GPUs.

    Raises:
        ValueError: If ``workers`` is below 1.
    """

    def __init__(self, workers: int | None = None) -> None:
        if workers is not None and workers < 1:
            raise ValueError(f'workers={workers} must be at least 1')
        self.free = worker_environments(workers)
        self.running: list[Running] = []

    def has_room(self) -> bool:
        """Return whether a worker is free."""
        return bool(self.free)

    def start(self, job: Job) -> None:
        """Start a job on a free worker."""
        environment = self.free.pop(0)
        steps = job.steps(int(environment['OMP_NUM_THREADS']))
        self.running.append(Running(job, steps, environment))

    def poll(self) -> list[tuple[Job, str]]:
        """Return the jobs that have ended; start the next steps of the others."""
        ended = []
        for running in list(self.running):
            try:
                if self._is_busy(running):
                    continue
                step = next(running.steps)
                running.process = None if step is None else _start(running, step)
                continue
            except StopIteration:
                problem = ''
            except ToolFailedError as error:
                problem = str(error)
            except (OSError, ValueError, KeyError) as error:
                problem = f'{type(error).__name__}: {error}'
            self._end(running)
            ended.append((running.job, problem))
        return ended

    def stop(self) -> None:
        """Terminate all processes, and wait until they have ended."""
        for running in self.running:
            if running.process is not None:
                running.process.terminate()
        for running in list(self.running):
            _wait(running.process)
            self._end(running)

    def _is_busy(self, running: Running) -> bool:
        """Return whether the current step is still running.

        Raises:
            ToolFailedError: If the step has failed.
        """
        if running.process is None:
            return False
        code = _exit_code(running.process)
        if code is None:
            return True
        raise_if_failed(code, running.job.log, running.log_start)
        return False

    def _end(self, running: Running) -> None:
        running.steps.close()
        self.running.remove(running)
        self.free.append(running.environment)


def worker_environments(workers: int | None) -> list[dict[str, str]]:
    """Return the environment variables of each worker: its GPU, its number of cores."""
    gpus, cores = torch.cuda.device_count(), cpu_count()
    number = workers or gpus or cores
    threads = {'OMP_NUM_THREADS': str(max(1, cores // number))}
    visible = os.environ.get('CUDA_VISIBLE_DEVICES')
    names = visible.split(',') if visible else list(map(str, range(gpus)))
    return [
        threads | ({'CUDA_VISIBLE_DEVICES': names[n % gpus]} if gpus else {})
        for n in range(number)
    ]


def _start(running: Running, step: list[str] | Callable) -> object:
    """Start the process of a step; its output is appended to the log."""
    log = running.job.log
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, 'ab') as output:
        running.log_start = output.tell()
        if callable(step):
            return _start_function(step, log, running.environment)
        return subprocess.Popen(
            [sys.executable, *step],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | running.environment,
        )


def _start_function(
    function: Callable, log: Path, environment: dict[str, str]
) -> multiprocessing.Process | None:
    """Run a function in a forked process, which shares memory; without fork, here."""
    if 'fork' not in multiprocessing.get_all_start_methods():
        function()
        return None
    context = multiprocessing.get_context('fork')
    process = context.Process(target=_run, args=(function, log, environment))
    process.start()
    return process


def _run(function: Callable, log: Path, environment: dict[str, str]) -> None:
    """Run a function in a child process."""
    with open(log, 'ab', buffering=0) as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    sys.stdout = sys.stderr = open(1, 'w', closefd=False)  # noqa: SIM115
    os.environ.update(environment)
    # A fork has none of the threads of its parent, and would wait for them for ever.
    torch.set_num_threads(1)
    try:
        function()
    except Exception:
        traceback.print_exc()
        sys.exit(1)
    finally:
        sys.stdout.flush()


def _exit_code(process: subprocess.Popen | multiprocessing.Process) -> int | None:
    if isinstance(process, subprocess.Popen):
        return process.poll()
    return process.exitcode


def _wait(process: subprocess.Popen | multiprocessing.Process | None) -> None:
    """Wait for a terminated process; kill it if it does not end."""
    if process is None:
        return
    if isinstance(process, subprocess.Popen):
        try:
            process.wait(GRACE_PERIOD)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    else:
        process.join(GRACE_PERIOD)
        process.kill()
        process.join()
