"""Run jobs on a Slurm cluster with submitit."""

import time
from collections.abc import Mapping
from pathlib import Path

from mmimbal.experiments.jobs import POLL, Job
from mmimbal.experiments.local_executor import LocalExecutor


class SlurmExecutor:
    """Submit each job to Slurm; there it runs as on a local machine.

    Args:
        folder: Folder for scripts and logs of submitit, on a shared file system.
        options: Parameters of ``submitit.SlurmExecutor``, such as ``partition``,
            ``time`` (minutes) and ``gpus_per_node``.

    Raises:
        ImportError: If submitit is not installed.
        ValueError: If an option is unknown to submitit.
        RuntimeError: If Slurm is not installed.
    """

    def __init__(self, folder: Path, options: Mapping[str, object]) -> None:
        try:
            import submitit
        except ImportError as error:
            raise ImportError(
                "--cluster slurm needs submitit: pip install 'mmimbal[slurm]'"
            ) from error
        self.executor = submitit.SlurmExecutor(folder)
        self.executor.update_parameters(job_name='mmimbal', **options)
        self.submitted: dict[Job, submitit.Job] = {}

    def has_room(self) -> bool:
        """Return ``True``: Slurm keeps its own queue."""
        return True

    def start(self, job: Job) -> None:
        """Submit a job."""
        self.submitted[job] = self.executor.submit(run_alone, job)

    def poll(self) -> list[tuple[Job, str]]:
        """Return the jobs that have ended."""
        ended = []
        for job, submitted in list(self.submitted.items()):
            if submitted.done():
                del self.submitted[job]
                ended.append((job, _problem(submitted)))
        return ended

    def stop(self) -> None:
        """Cancel all jobs that are queued or running."""
        for submitted in self.submitted.values():
            submitted.cancel()
        self.submitted.clear()


def run_alone(job: Job) -> str:
    """Run a job in child processes; return its error message or ''."""
    executor = LocalExecutor(workers=1)
    executor.start(job)
    try:
        while True:
            for _, problem in executor.poll():
                return problem
            time.sleep(POLL)
    finally:
        executor.stop()


def _problem(submitted) -> str:
    """Return the error message of a job that has ended, or ''."""
    try:
        return submitted.result()
    except Exception as error:  # any error on the other machine
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return f'{lines[-1]} (see {submitted.paths.stderr})'
