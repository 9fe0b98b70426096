"""Cross-validation: train and test on each fold."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import mean

from mmengine.config import Config

from mmimbal.command_line.compose import read_experiment
from mmimbal.command_line.experiment import Experiment, parse_experiment
from mmimbal.command_line.flags import FLAGS_OF_TRAINING
from mmimbal.command_line.missing_files import check_data
from mmimbal.datasets.index_file import read_index
from mmimbal.experiments.data_hash import index_of_config
from mmimbal.experiments.grid_run import fold_options
from mmimbal.experiments.jobs import Job, Step
from mmimbal.experiments.progress import share_of_training
from mmimbal.files.config_text import read_config
from mmimbal.files.lock import is_work_dir_in_use
from mmimbal.files.work_dir import can_resume
from mmimbal.stage2.config import follows_stage1

USUAL_FOLDS = 5


@dataclass(frozen=True)
class Stage:
    """A run that is trained on each fold.

    Attributes:
        config: Path of a config, or name of an experiment.
        options: Values of ``--cfg-options``, each ``KEY=VALUE``.
    """

    config: str
    options: Sequence[str]


def number_of_folds(cfg: Config, wanted: int | None, options: Sequence[str]) -> int:
    """Return how many folds to run: all of the index, unless fewer are wanted.

    Args:
        cfg: Config of the last stage.
        wanted: Wanted number of folds, if any.
        options: The ``--cfg-options``; if they name another data set, it is not read.

    Raises:
        FileNotFoundError: If the data set has no index.
        ValueError: If the index has no folds, or fewer than wanted.
    """
    index = index_of_config(cfg, options)
    if index is None:
        return wanted or USUAL_FOLDS
    if not index.is_file():
        check_data(cfg, 'train_dataloader')
        return wanted or USUAL_FOLDS  # a data set of somebody else
    columns = read_index(index).column_names
    there = next(n for n in count() if f'fold{n}' not in columns)
    if there < (wanted or 1):
        raise ValueError(
            f'{index} has {there} folds. Prepare it again, with --folds '
            f'{wanted or USUAL_FOLDS} and another --out'
        )
    if wanted and wanted < there:
        print(f'{wanted} of {there} folds: the images of the others are not tested')
    return wanted or there


def stages_of(
    config: str,
    profile: str | None,
    bases: Sequence[str],
    stage1_config: str | None,
    options: Sequence[str],
    stage1_options: Sequence[str] | None,
) -> list[Stage]:
    """Return the stages to train on each fold: the config, and its stage 1 if it has.

    Args:
        config: Path of a config, or name of an experiment.
        profile: Another profile.
        bases: Words to replace, each ``OLD=NEW``.
        stage1_config: Config of stage 1, if ``config`` is your own config of stage 2.
            For an experiment, stage 1 follows from its words.
        options: ``--cfg-options`` for the config.
        stage1_options: ``--cfg-options`` for stage 1; the same if ``None``.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If words are unknown; if the config of stage 1 is missing; or if
            there are options for stage 1, but no stage 1.
    """
    experiment = _experiment_of(config, bool(profile or bases))
    if experiment:
        experiment = experiment.with_bases(bases, profile)
        experiment.check()
        config = str(experiment)
        if experiment.stage1 and experiment.stage2 and not experiment.single_run:
            stage1_config = stage1_config or str(experiment.first_stage)
    elif follows_stage1(read_config(config)) and not stage1_config:
        raise ValueError(
            f'{config} is a stage 2. Its stage 1 must not be trained on the test '
            'images of a fold: name the config of stage 1 with --stage1-config, so '
            'that it is trained on each fold too'
        )
    if stage1_options and not stage1_config:
        raise ValueError(
            f'--stage1-cfg-options: {config} has no stage 1. Use --cfg-options'
        )
    stages = [Stage(config, options)]
    if stage1_config:
        stages.insert(0, Stage(stage1_config, stage1_options or options))
    return stages


def _experiment_of(config: str, is_needed: bool) -> Experiment | None:
    """Return the experiment of a config; ``None`` if it has settings of its own."""
    if Path(config).suffix != '.py':
        return parse_experiment(config)
    try:
        return read_experiment(Path(config))[0]
    except ValueError:
        if is_needed:
            raise
        return None


@dataclass(frozen=True, eq=False)
class FoldJob(Job):
    """One fold: train all stages, then test the last one.

    Attributes:
        fold: Number of the fold.
        folder: Folder of the cross-validation.
        tools: Folder of the tools.
        stages: Stages to train, one after another.
        flags: Further flags for train.py, and those of them for test.py that it has.
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
        """File with the output of the tools."""
        return self.folder / f'{self.name}.log'

    @property
    def predictions(self) -> Path:
        """File with the predictions for the test images."""
        return self.folder / f'{self.name}.npz'

    @property
    def work_dirs(self) -> list[Path]:
        """Work dir of each stage."""
        names = [f'{self.name}_stage1', self.name][-len(self.stages) :]
        return [self.folder / name for name in names]

    def steps(self, cores: int) -> Iterator[Step]:
        """Train each stage, then test; do nothing if the predictions exist."""
        if self.predictions.is_file():
            return
        stage1 = []
        for stage, work_dir in zip(self.stages, self.work_dirs, strict=True):
            while is_work_dir_in_use(work_dir):
                yield None
            options = ['--cfg-options', *self._options(stage)]
            command = [str(self.tools / 'train.py'), stage.config]
            command += ['--work-dir', str(work_dir), *stage1]
            if can_resume(work_dir):
                command.append('--resume')
            yield [*command, *self.flags, *options]
            stage1 = ['--stage1', str(work_dir)]
        command = [str(self.tools / 'test.py'), stage.config, str(work_dir)]
        command += ['--out', str(self.predictions)]
        flags = [flag for flag in self.flags if flag not in FLAGS_OF_TRAINING]
        yield [*command, '--work-dir', str(work_dir / 'test'), *flags, *options]

    def _options(self, stage: Stage) -> list[str]:
        options = [f'{key}={value}' for key, value in fold_options(self.fold).items()]
        return options + list(stage.options)

    def share_done(self) -> float:
        """Return the progress of its runs, 0..1."""
        if self.predictions.is_file():
            return 1.0
        return 0.95 * mean(map(share_of_training, self.work_dirs))
