"""Cross-validation: a config trained and tested on each fold, predictions pooled."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from mmengine.config import Config

from mmimbal.command_line.compose import read_experiment
from mmimbal.command_line.experiment import Experiment, parse_experiment
from mmimbal.evaluation.bootstrap import caution, interval_of, resampled_metrics
from mmimbal.evaluation.metrics import NAMES, summarise
from mmimbal.evaluation.predictions import Predictions, pooled
from mmimbal.evaluation.table import format_table, mean_and_spread
from mmimbal.experiments.grid import fold_options
from mmimbal.experiments.jobs import Job, Step
from mmimbal.experiments.progress import share_of_training
from mmimbal.files.lock import is_work_dir_in_use
from mmimbal.stage2.config import follows_stage1


@dataclass(frozen=True)
class Stage:
    """A run that is trained on each fold.

    Attributes:
        config: Path of a config, or name of an experiment.
        options: Of ``--cfg-options``, ``KEY=VALUE``.
    """

    config: str
    options: Sequence[str]


def stages_of(
    config: str,
    profile: str | None,
    bases: Sequence[str],
    stage1_config: str | None,
    options: Sequence[str],
    stage1_options: Sequence[str] | None,
) -> list[Stage]:
    """Return what is trained on each fold: a config, and the stage 1 that it follows.

    Args:
        config: Path of a config, or name of an experiment.
        profile: In place of its own.
        bases: ``OLD=NEW``, words to replace.
        stage1_config: Of stage 1, for a config of its own kind that follows one. The
            stage 1 of an experiment follows from its words.
        options: Of the config.
        stage1_options: Of stage 1; those of the config if ``None``.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If words are unknown; if a stage 1 is missing, which must not have
            seen the test images of a fold; or if one is named that nothing follows.
    """
    experiment = _words(config, bool(profile or bases))
    if experiment:
        replaced = list(bases)
        if profile:
            replaced.append(f'profiles/{experiment.profile}=profiles/{profile}')
        experiment = experiment.with_bases(replaced)
        experiment.check()
        config = str(experiment)
        if experiment.stage1 and experiment.stage2 and not experiment.single_run:
            stage1_config = stage1_config or str(experiment.first_stage)
    elif follows_stage1(Config.fromfile(config)) and not stage1_config:
        raise ValueError(
            f'{config} follows a stage 1, which must not have seen the test images of '
            'a fold: name its config with --stage1-config, so that it is trained on '
            'each fold too'
        )
    if stage1_options and not stage1_config:
        raise ValueError('--stage1-cfg-options: there is no stage 1 to train')
    stages = [Stage(config, options)]
    if stage1_config:
        stages.insert(0, Stage(stage1_config, stage1_options or options))
    return stages


def _words(config: str, are_needed: bool) -> Experiment | None:
    """Return the words of a config; ``None`` if it says more than they."""
    if Path(config).suffix != '.py':
        return parse_experiment(config)
    try:
        return read_experiment(Path(config))[0]
    except ValueError:
        if are_needed:
            raise
        return None


@dataclass(frozen=True, eq=False)
class FoldJob(Job):
    """One fold: each stage is trained, the last one tested.

    Attributes:
        fold: Its number.
        folder: Of the cross-validation.
        tools: Folder of our tools.
        stages: What is trained, one after the other.
        flags: Further flags of the tools.
    """

    fold: int
    folder: Path
    tools: Path
    stages: Sequence[Stage]
    flags: Sequence[str]

    @property
    def name(self) -> str:
        """Name of the fold."""
        return f'fold{self.fold}'

    @property
    def log(self) -> Path:
        """What the tools print."""
        return self.folder / f'{self.name}.log'

    @property
    def predictions(self) -> Path:
        """File of the predictions for its test images."""
        return self.folder / f'{self.name}.npz'

    @property
    def work_dirs(self) -> list[Path]:
        """Of each stage."""
        names = [f'{self.name}_stage1', self.name][-len(self.stages) :]
        return [self.folder / name for name in names]

    def steps(self, cores: int) -> Iterator[Step]:
        """Train each stage, then test; nothing if the predictions are there."""
        if self.predictions.is_file():
            return
        stage1 = []
        for stage, work_dir in zip(self.stages, self.work_dirs, strict=True):
            while is_work_dir_in_use(work_dir):
                yield None
            common = [*self.flags, '--cfg-options', *self._options(stage)]
            command = [str(self.tools / 'train.py'), stage.config]
            command += ['--work-dir', str(work_dir), *stage1]
            if (work_dir / 'last_checkpoint').is_file():
                command.append('--resume')
            yield [*command, *common]
            stage1 = ['--stage1', str(work_dir)]
        command = [str(self.tools / 'test.py'), stage.config, str(work_dir)]
        command += ['--out', str(self.predictions)]
        yield [*command, '--work-dir', str(work_dir / 'test'), *common]

    def _options(self, stage: Stage) -> list[str]:
        options = [f'{key}={value}' for key, value in fold_options(self.fold).items()]
        return options + list(stage.options)

    def share_done(self) -> float:
        """Return how far its trainings are, 0..1."""
        if self.predictions.is_file():
            return 1.0
        return 0.95 * mean(map(share_of_training, self.work_dirs))


def report(parts: Sequence[Predictions]) -> tuple[dict, str]:
    """Return metrics of each fold and of all pooled, and a text with a table of them.

    Args:
        parts: Predictions of each fold.

    Returns:
        By metric ``folds``, ``mean``, ``sd``, ``pooled`` and ``interval``, in %, and
        the text.
    """
    folds = [summarise(part.scores, part.labels, part.classes) for part in parts]
    everything = pooled(parts)
    of_all = summarise(everything.scores, everything.labels, everything.classes)
    drawn = resampled_metrics(everything)
    recalls = [f'recall/{name}' for name in everything.classes]
    rows, summary = [], {}
    for name in (*NAMES, *recalls):
        values = [fold[name] for fold in folds if name in fold]
        if name not in of_all or not values:
            continue
        low, high = interval_of(name, of_all[name], 100 * drawn[name])
        cell = mean_and_spread(values)
        if len(values) < len(folds):
            cell += f' (of {len(values)})'
        rows.append((name, cell, f'{of_all[name]:.1f}', f'{low:.1f} .. {high:.1f}'))
        summary[name] = dict(
            folds=[fold.get(name) for fold in folds],
            mean=mean(values),
            sd=stdev(values) if len(values) > 1 else None,
            pooled=of_all[name],
            interval=[low, high],
        )
    groups = len(set(everything.groups.tolist()))
    about = (
        f'{len(everything.labels)} test images in {groups} groups; intervals by '
        'resampling groups. '
        + caution(everything.groups, everything.labels, everything.classes)
    )
    header = ('%', f'{len(parts)} folds', 'pooled', '95% interval')
    return summary, f'{about.rstrip()}\n\n{format_table(header, rows)}'
