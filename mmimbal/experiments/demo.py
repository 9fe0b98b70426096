"""The runs of the demo: cross-entropy and two stages, on long-tailed digits."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from mmengine.config import Config
from mmengine.runner import Runner

from mmimbal.command_line.compose import compose
from mmimbal.command_line.experiment import parse_experiment
from mmimbal.experiments.jobs import Job, Step
from mmimbal.experiments.progress import share_of_training
from mmimbal.files.checkpoint import safe_loading
from mmimbal.files.json_file import read_json, write_json
from mmimbal.files.work_dir import find_checkpoint

# For each run: its experiment, and the run of stage 1 that it starts from.
RUNS = {
    'ce': ('digits_lt/digits/ce', None),
    'triplet': ('digits_lt/digits/triplet', None),
    'ce_crt': ('digits_lt/digits/ce/crt', 'ce'),
    'triplet_crt': ('digits_lt/digits/triplet/crt', 'triplet'),
}
METHODS = {
    'cross-entropy': 'ce',
    'cross-entropy + cRT': 'ce_crt',
    'triplet + cRT': 'triplet_crt',
}


@dataclass(frozen=True, eq=False)
class SeedJob(Job):
    """All runs of one seed, and a test of each method.

    Attributes:
        seed: Seed of the runs.
        root: Folder of all seeds.
    """

    seed: int
    root: Path

    @property
    def name(self) -> str:
        """Name of the seed."""
        return f'seed{self.seed}'

    @property
    def folder(self) -> Path:
        """Folder of the runs."""
        return self.root / self.name

    @property
    def log(self) -> Path:
        """File with the output of the runs."""
        return self.folder / 'log.txt'

    @property
    def results(self) -> Path:
        """File with ``method``, ``seed`` and metrics in %, for each method."""
        return self.folder / 'results.json'

    def steps(self, cores: int) -> Iterator[Step]:
        """Train and test; do nothing if the results exist."""
        if not self.results.is_file():
            yield self._run

    def config(self, run: str) -> Config:
        """Return the config of a run."""
        name, stage1 = RUNS[run]
        cfg = compose(parse_experiment(name), work_dir=str(self.folder / run))
        cfg.randomness = dict(seed=self.seed)
        if stage1:
            cfg.default_hooks.two_stage.stage1 = str(self.folder / stage1)
        return cfg

    def _run(self) -> None:
        for run in RUNS:
            Runner.from_cfg(self.config(run)).train()
        results = []
        for method, run in METHODS.items():
            cfg = self.config(run)
            cfg.load_from = str(find_checkpoint(cfg.work_dir))
            with safe_loading():
                metrics = Runner.from_cfg(cfg).test()
            results.append(dict(method=method, seed=self.seed, **metrics))
        write_json(results, self.results)

    def read(self) -> list[dict]:
        """Return the results."""
        return read_json(self.results)

    def share_done(self) -> float:
        """Return the progress of its runs, 0..1."""
        return mean(share_of_training(self.folder / run) for run in RUNS)
