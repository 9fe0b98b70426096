"""Run experiments as jobs in child processes, with one progress bar."""

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from tqdm import tqdm

POLL = 0.1  # seconds between two checks of the processes
REFRESH = 2.0  # seconds between two updates of the progress bar
REFRESH_FILE = 60.0  # the same, if it is written to a file

# Arguments of a Python command; a function to run in a child process; or None, to wait
# and ask again.
Step = list[str] | Callable[[], object] | None


class Job(ABC):
    """Work for child processes, which can be stopped and continued.

    Attributes:
        name: Name in messages.
        log: File with the output of its processes.
        size: Its part of the progress bar.
    """

    name: str
    log: Path
    size: int = 1

    @abstractmethod
    def steps(self, cores: int) -> Iterator[Step]:
        """Yield the steps to run, one after another.

        The executor asks for the next step when the last one has succeeded. Short work
        may be done between two steps, in the process of the executor.

        Args:
            cores: Number of cores for each process.

        Raises:
            OSError: If the job fails between two steps.
            ValueError: If the job fails between two steps.
        """

    def is_taken(self) -> bool:
        """Return whether another process works on the job; then others come first."""
        return False

    def share_done(self) -> float:
        """Return the progress of the job, 0..1, from its files."""
        return 0.0


class Executor(Protocol):
    """Where jobs run: this machine, or a cluster."""

    def has_room(self) -> bool:
        """Return whether another job can be started."""

    def start(self, job: Job) -> None:
        """Start a job."""

    def poll(self) -> list[tuple[Job, str]]:
        """Return the jobs that have ended, each with its error message or ''."""

    def stop(self) -> None:
        """Stop all running jobs, and wait until they have ended."""


def run_jobs(
    jobs: Sequence[Job], executor: Executor, description: str
) -> dict[str, str]:
    """Run jobs until all have ended, with a progress bar.

    If this function is stopped, for example by Ctrl-C or SIGTERM, it stops the jobs.

    Args:
        jobs: Jobs, in the order in which they start; those that another process works
            on come last.
        executor: Where the jobs run.
        description: Text of the progress bar.

    Returns:
        Error message of each job that failed, by its name.
    """
    if not jobs:
        return {}
    pending, running, failed = list(jobs), set(jobs), {}
    total = sum(job.size for job in jobs)

    def number_done() -> float:
        left = sum(job.size * (1 - job.share_done()) for job in running)
        return total - left

    with tqdm(
        total=total,
        initial=number_done(),  # done earlier: not part of the speed of this call
        desc=description,
        unit='jobs',
        bar_format='{desc}: {percentage:3.0f}%|{bar}| {n:.1f}/{total} '
        '[{elapsed}<{remaining}]{postfix}',
    ) as bar:
        looked = time.monotonic()
        refresh = REFRESH if sys.stderr.isatty() else REFRESH_FILE
        try:
            while running:
                while pending and executor.has_room():
                    free = (job for job in pending if not job.is_taken())
                    job = next(free, pending[0])
                    pending.remove(job)
                    executor.start(job)
                for job, problem in executor.poll():
                    running.discard(job)
                    if problem:
                        failed[job.name] = problem
                        bar.write(f'{job.name} failed: {problem}')
                if running:
                    time.sleep(POLL)
                if time.monotonic() - looked > refresh:
                    looked = time.monotonic()
                    bar.n = number_done()
                    bar.refresh()
        finally:
            executor.stop()
            bar.n = total - sum(job.size for job in running)
            bar.initial = min(bar.initial, bar.n)
    return failed


def failure_report(failed: dict[str, str], total: int, what: str) -> str:
    """Return a message with the jobs that failed, and how to try them again."""
    names = '\n'.join(f'  {name}: {problem}' for name, problem in failed.items())
    return (
        f'{len(failed)} of {total} {what} failed. Run the same command again to retry '
        f'them:\n{names}'
    )
