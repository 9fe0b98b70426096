"""Run a sweep: train all methods of stage 2 on the features of one stage 1."""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import torch
from mmengine.config import Config

from mmimbal.command_line.failures import ToolFailedError
from mmimbal.datasets import get_class_names
from mmimbal.datasets.group_hashes import groups_or_files
from mmimbal.experiments.jobs import Job, Step, run_jobs
from mmimbal.experiments.local_executor import LocalExecutor
from mmimbal.inference.leaks import describe_leak
from mmimbal.inference.predictor import published_hash
from mmimbal.stage2.head_run import HeadRun
from mmimbal.stage2.stage1 import training_groups_of
from mmimbal.stage2.sweep import Sweep
from mmimbal.stage2.sweep_result import STAGE1, predictions_file


@dataclass(frozen=True, eq=False)
class HeadsJob(Job):
    """Some heads of a sweep, trained one after another in a child process.

    Attributes:
        sweep: The sweep; the child process shares its features in memory.
        runs: The heads.
        name: Name in messages.
    """

    sweep: Sweep
    runs: Sequence[HeadRun]
    name: str

    @property
    def log(self) -> Path:
        """File with the output of training."""
        return self.sweep.folder / f'{self.name}.log'

    @property
    def size(self) -> int:
        """Number of heads."""
        return len(self.runs)

    def steps(self, cores: int) -> Iterator[Step]:
        """Train the heads that are missing."""
        yield self._train

    def _train(self) -> None:
        for run in self.runs:
            if not self.sweep.is_trained(run):
                self.sweep.train_one(run)

    def share_done(self) -> float:
        """Return the share of heads that are trained."""
        return sum(map(self.sweep.is_trained, self.runs)) / len(self.runs)


def train_heads(sweep: Sweep, runs: Iterable[HeadRun], processes: int) -> None:
    """Train the heads that are missing, several at the same time.

    Args:
        sweep: The sweep.
        runs: The heads.
        processes: Number of processes; they share the cores.

    Raises:
        RuntimeError: If a process fails; the message names its log.
    """
    missing = [run for run in runs if not sweep.is_trained(run)]
    parts = [missing[n::processes] for n in range(min(processes, len(missing)))]
    jobs = [HeadsJob(sweep, part, f'process{n}') for n, part in enumerate(parts)]
    if jobs:
        failed = run_jobs(jobs, LocalExecutor(processes), 'Heads')
        for problem in failed.values():
            raise ToolFailedError(problem)


def search_and_train(
    sweep: Sweep,
    methods: Mapping[str, HeadRun],
    searches: Mapping[str, Mapping],
    seeds: int,
    metric: str,
    processes: int,
) -> tuple[dict[str, list[HeadRun]], dict[str, str]]:
    """Search hyper-parameters with the first seed, then train the other seeds.

    Args:
        sweep: The sweep.
        methods: One run for each method, by name.
        searches: Values of hyper-parameters to try, for each method.
        seeds: Number of seeds.
        metric: Metric for the choice on validation.
        processes: Number of processes.

    Returns:
        The chosen runs of each method, one for each seed; and the error message of
        each method that failed.

    Raises:
        ValueError: If all methods failed.
    """
    candidates = {name: run.candidates(searches[name]) for name, run in methods.items()}
    train_heads(sweep, chain.from_iterable(candidates.values()), processes)
    chosen, failed = {}, {}
    for name, runs in candidates.items():
        try:
            chosen[name] = sweep.choose(runs, metric).seeds(seeds)
        except ValueError as error:
            failed[name] = str(error)
    if failed and not chosen:
        raise ValueError(next(iter(failed.values())))
    train_heads(sweep, chain.from_iterable(chosen.values()), processes)
    return chosen, failed


def write_checkpoints(
    sweep: Sweep,
    runs: Mapping[str, Sequence[HeadRun]],
    wanted: Sequence[tuple[str, int]],
    folder: Path,
) -> Iterator[str]:
    """Write heads as ordinary checkpoints; yield the command to test each of them.

    Args:
        sweep: The sweep.
        runs: Runs of each method, one for each seed.
        wanted: Pairs of method and seed.
        folder: Folder of the checkpoints.
    """
    for method, seed in wanted:
        if method not in runs:
            continue
        if not sweep.read(runs[method][seed])['val']:
            yield f'{method} diverged with seed {seed}: no checkpoint'
            continue
        file = folder / f'{method}_seed{seed}.pth'
        sweep.save_checkpoint(runs[method][seed], file)
        config = shlex.quote(str(file.with_suffix('.py')))
        yield f'python tools/test.py {config} {shlex.quote(str(file))}'


def write_predictions(
    sweep: Sweep, runs: Mapping[str, Sequence[HeadRun]], stage1: Config, folder: Path
) -> None:
    """Write the predictions of all heads, and of stage 1, for the test images.

    Args:
        sweep: The sweep.
        runs: Runs of each method, one for each seed.
        stage1: Config of stage 1.
        folder: Folder of the sweep.
    """
    heads = [
        (name, run.seed, sweep.trained(run), run.config)
        for name, of_method in runs.items()
        for run in of_method
        if sweep.read(run)['val']
    ]
    heads.append((STAGE1, 0, sweep.stage1_classifier(stage1), stage1))
    test, checkpoint = sweep.stage1.datasets['test'], sweep.stage1.checkpoint
    known = dict(training_groups=torch.from_numpy(training_groups_of(checkpoint)))
    leak = describe_leak(known, groups_or_files(test))
    meta = dict(dataset_meta=dict(classes=get_class_names(test)))
    for name, seed, head, cfg in heads:
        file = predictions_file(folder, name, seed)
        whole = dict(state_dict=sweep.whole_state(head), meta=meta)
        model = published_hash(whole, cfg)
        about = dict(checkpoint=checkpoint, stage2=file.stem, model=model, leak=leak)
        with suppress(FloatingPointError):  # test scores of a head are not finite
            sweep.predict(head, 'test', **about).save(file)
