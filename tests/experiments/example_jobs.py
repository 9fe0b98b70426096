"""A job that tests submit to another process, which imports it by this name."""

from dataclasses import dataclass
from pathlib import Path

from mmimbal.experiments.jobs import Job


@dataclass(eq=False)
class CommandJob(Job):
    """A job of one command."""

    name: str
    folder: Path
    command: list[str]

    @property
    def log(self) -> Path:
        return self.folder / f'{self.name}.txt'

    def steps(self, cores):
        yield self.command
