"""The one way to run experiments: jobs in child processes, under one progress bar."""

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from tqdm import tqdm

POLL = 0.1  # seconds between two looks at the processes
REFRESH = 2.0  # seconds between two looks at how far they are

# A command of ours, less Python; a function to run in a child process; or None, to be
# asked again later.
Step = list[str] | Callable[[], object] | None


class Job(ABC):
    """Something to run in child processes, which can go on where it was stopped.

    Attributes:
        name: In messages.
        log: File of what its processes print.
        size: Of its part of the progress bar.
    """

    name: str
    log: Path
    size: int = 1

    @abstractmethod
    def steps(self, cores: int) -> Iterator[Step]:
        """Yield what to run, one after the other.

        The next step is asked for when the last one has succeeded. What is left of the
        work may be done in between, if it takes little time.

        Args:
            cores: Of each process.

        Raises:
            OSError: If it cannot be done.
            ValueError: If it cannot be done.
        """

    def share_done(self) -> float:
        """Return how far it is, 0..1, from what is on disk."""
        return 0.0


class Executor(Protocol):
    """Where jobs run: this machine, or a cluster."""

    def has_room(self) -> bool:
        """Return whether another job can be started."""

    def start(self, job: Job) -> None:
        """Start a job."""

    def poll(self) -> list[tuple[Job, str]]:
        """Return the jobs that have ended, each with what went wrong, '' if nothing."""

    def stop(self) -> None:
        """End the jobs that run, and wait for them."""


def run_jobs(
    jobs: Sequence[Job], executor: Executor, description: str, unit: str = 'jobs'
) -> dict[str, str]:
    """Run jobs to their ends under a progress bar.

    Whatever stops this function, such as Ctrl-C or SIGTERM, ends the jobs with it.

    Args:
        jobs: They are started in this order.
        executor: Where they run.
        description: On the bar.
        unit: On the bar.

    Returns:
        What went wrong, by name of the job.
    """
    pending, running, failed = deque(jobs), set(jobs), {}
    total = sum(job.size for job in jobs)

    def number_done() -> float:
        left = sum(job.size * (1 - job.share_done()) for job in running)
        return total - left

    with tqdm(
        total=total,
        initial=number_done(),  # done by an earlier call, which took no time of this
        desc=description,
        unit=unit,
        bar_format='{desc}: {percentage:3.0f}%|{bar}| {n:.1f}/{total} '
        '[{elapsed}<{remaining}]{postfix}',
    ) as bar:
        looked = time.monotonic()
        try:
            while running:
                while pending and executor.has_room():
                    executor.start(pending.popleft())
                for job, problem in executor.poll():
                    running.discard(job)
                    if problem:
                        failed[job.name] = problem
                        bar.write(f'{job.name} failed: {problem}')
                if running:
                    time.sleep(POLL)
                if time.monotonic() - looked > REFRESH:
                    looked = time.monotonic()
                    bar.n = number_done()
                    bar.refresh()
        finally:
            executor.stop()
            bar.n = total - sum(job.size for job in running)
    return failed


def failure_report(failed: dict[str, str], total: int, what: str) -> str:
    """Say which jobs failed, and how to go on."""
    names = '\n'.join(f'  {name}: {problem}' for name, problem in failed.items())
    return (
        f'{len(failed)} of {total} {what} failed; the same command tries them '
        f'again:\n{names}'
    )
