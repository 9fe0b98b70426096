"""Jobs on a Slurm cluster, through submitit."""

import time
from collections.abc import Mapping
from pathlib import Path

from mmimbal.experiments.jobs import POLL, Job
from mmimbal.experiments.local_executor import LocalExecutor


class SlurmExecutor:
    """Submits each job to Slurm, where it runs as on one machine.

    Args:
        folder: For the scripts and logs of submitit; all machines must see it.
        options: Parameters of ``submitit.SlurmExecutor``, such as ``partition``,
            ``time`` (minutes) and ``gpus_per_node``.

    Raises:
        ImportError: If submitit is not installed.
        ValueError: If submitit knows no such option.
        RuntimeError: If Slurm is not there.
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
        """Cancel what is queued or runs."""
        for submitted in self.submitted.values():
            submitted.cancel()
        self.submitted.clear()


def run_alone(job: Job) -> str:
    """Run a job in this process; return what went wrong, '' if nothing."""
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
    """Return what went wrong in a job that has ended."""
    try:
        return submitted.result()
    except Exception as error:  # whatever was raised on the other machine
        return f'{str(error).strip().splitlines()[-1]} (see {submitted.paths.stderr})'
