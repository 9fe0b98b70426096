"""A grid of experiments: data sets x folds x seeds x methods."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mmengine.config import Config

from mmimbal.command_line.experiment import Experiment
from mmimbal.stage2.config import follows_stage1

KEYS = (
    'title',
    'notes',
    'judged_on',
    'profile',
    'datasets',
    'folds',
    'seeds',
    'methods',
    'flags',
    'options',
)
DATASET_KEYS = ('options',)
METHOD_KEYS = (
    'stage1',
    'one_stage',
    'config',
    'stage2',
    'options',
    'dataset_options',
    'seeds',
    'metric',
)
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


@dataclass(frozen=True)
class GridRun:
    """One training of the grid, and the heads of stage 2 on its backbone.

    Attributes:
        experiment: Name of the experiment, such as ``isic2018/64px/triplet``, or path
            of a config.
        dataset: Name of the data set.
        fold: Fold of cross-validation; ``None`` for the split of the data set.
        seed: Seed of the training.
        method: Name of the method in the grid.
        stage2: Methods of stage 2; empty for a method with only one stage.
        options: Changes of the config, by dotted keys.
        flags: Further flags for ``tools/train.py``.
    """

    experiment: str
    dataset: str
    fold: int | None
    seed: int
    method: str
    stage2: Sequence[str]
    options: Mapping[str, object] = field(default_factory=dict)
    flags: Sequence[str] = ()

    @property
    def name(self) -> str:
        """Name of the run, used for its files."""
        fold = 'split' if self.fold is None else f'fold{self.fold}'
        return f'{self.dataset}_{fold}_{self.method}_seed{self.seed}'

    @property
    def settings(self) -> dict:
        """Everything that its result depends on, except the content of files."""
        return json.loads(json.dumps(asdict(self)))

    def train_command(self, tools: Path, folder: Path) -> list[str]:
        """Return the command that trains, without ``python``.

        Args:
            tools: Folder of the tools.
            folder: Folder of this run. If a training was started there, it is resumed.
        """
        options = {**self.options, 'randomness.seed': self.seed}
        if self.fold is not None:
            options |= fold_options(self.fold)
        work_dir = folder / 'train'
        command = [str(tools / 'train.py'), self.experiment]
        command += ['--work-dir', str(work_dir), *self.flags]
        if (work_dir / 'last_checkpoint').is_file():
            command.append('--resume')
        return [
            *command,
            '--cfg-options',
            *(f'{key}={value}' for key, value in sorted(options.items())),
        ]

    def sweep_command(
        self, tools: Path, folder: Path, on_test: bool, processes: int
    ) -> list[str]:
        """Return the command that trains the heads of stage 2, without ``python``.

        Args:
            tools: Folder of the tools.
            folder: Folder of this run.
            on_test: Whether test images are read and predictions are saved.
            processes: Number of processes that train heads.
        """
        return [
            str(tools / 'stage2_sweep.py'),
            str(folder / 'train'),
            *('--methods', *self.stage2),
            *('--seeds', '1', '--processes', str(processes)),
            '--predictions' if on_test else '--validation-only',
            *('--views', '4' if self.stage2 else '1'),
            *('--work-dir', str(folder / 'stage2')),
        ]


@dataclass(frozen=True)
class Grid:
    """The content of a grid file.

    Attributes:
        title: Title on the page of results.
        notes: Notes for readers of the page.
        runs: All runs.
        metric_methods: Names of the methods with metric learning.
        judged_on: ``'test'``, or ``'val'`` to search for recipes without reading test
            images.
    """

    title: str
    notes: str
    runs: Sequence[GridRun]
    metric_methods: Sequence[str]
    judged_on: str


def load_grid(path: Path) -> Grid:
    """Read a grid file, a config with these keys.

    * ``profile``: a word.
    * ``datasets``: for each word, a dict that may have ``options``.
    * ``methods``: for each name, a dict with one of ``stage1`` (a word), ``one_stage``
      (a word of stage 2, whose head and sampler train the complete net) and ``config``
      (path of your own config, for a grid with one data set). Optional: ``stage2``
      (heads on the backbone: a list of words, or ``'all'``), ``options``,
      ``dataset_options`` (options for each data set), ``seeds``, and ``metric=True``
      if it uses metric learning.
    * ``seeds``: a list.
    * Optional: ``title`` and ``notes`` of the page, ``folds``, ``flags`` of
      ``tools/train.py``, ``options`` for all runs, ``judged_on``.

    Names that begin with an underscore are variables of the file.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If the file, or a config in it, does not exist.
        ValueError: If a key is unknown or missing, a word is unknown, words cannot be
            combined, or an option is not a plain value.
    """
    if not path.is_file():
        raise FileNotFoundError(f'no grid {path}')
    grid = Config.fromfile(path).to_dict()
    grid = {key: value for key, value in grid.items() if not key.startswith('_')}
    check_keys(path, grid, KEYS, ('datasets', 'methods', 'seeds'))
    judged_on = grid.get('judged_on', 'test')
    if judged_on not in ('val', 'test'):
        raise ValueError(f"{path}: judged_on={judged_on!r} must be 'val' or 'test'")
    for dataset, about in grid['datasets'].items():
        check_keys(f'{path}, data set {dataset}', about, DATASET_KEYS, ())
    runs = [
        run
        for method, about in grid['methods'].items()
        for run in _runs_of_method(f'{path}, method {method}', grid, method, about)
    ]
    # First all methods with the first seed and fold: the table is useful early.
    runs.sort(key=lambda run: (run.seed, run.fold or 0))
    metric = [name for name, about in grid['methods'].items() if about.get('metric')]
    return Grid(
        grid.get('title', path.stem), grid.get('notes', ''), runs, metric, judged_on
    )


def _runs_of_method(
    where: str, grid: Mapping, method: str, about: Mapping
) -> Iterator[GridRun]:
    check_keys(where, about, METHOD_KEYS, ())
    unknown = set(about.get('dataset_options', {})) - set(grid['datasets'])
    if unknown:
        raise ValueError(
            f'{where}: dataset_options has unknown data sets {", ".join(unknown)}; the '
            f'grid has {", ".join(grid["datasets"])}'
        )
    stage2 = about.get('stage2', [])
    for dataset, of_dataset in grid['datasets'].items():
        experiment = _experiment_of_method(where, grid, dataset, about)
        options = {
            **grid.get('options', {}),
            **of_dataset.get('options', {}),
            **about.get('options', {}),
            **about.get('dataset_options', {}).get(dataset, {}),
        }
        check_plain_values(where, options)
        for fold in grid.get('folds', [None]):
            for seed in about.get('seeds', grid['seeds']):
                yield GridRun(
                    experiment,
                    dataset,
                    fold,
                    seed,
                    method,
                    [stage2] if isinstance(stage2, str) else stage2,
                    options,
                    grid.get('flags', []),
                )


def _experiment_of_method(
    where: str, grid: Mapping, dataset: str, about: Mapping
) -> str:
    """Return the name of an experiment, or the path of a config."""
    kinds = [key for key in ('stage1', 'one_stage', 'config') if key in about]
    if len(kinds) != 1:
        raise ValueError(
            f'{where}: give exactly one of stage1, one_stage and config, got '
            f'{", ".join(kinds) or "none"}'
        )
    if kinds == ['config']:
        return _own_config(where, grid, about['config'])
    if 'profile' not in grid:
        raise ValueError(f'{where}: the grid has no profile. Add profile, e.g. 64px')
    experiment = Experiment(
        dataset, grid['profile'], about.get('stage1'), about.get('one_stage')
    )
    try:
        experiment.check()
    except ValueError as error:
        raise ValueError(f'{where}: {error}') from None
    return str(experiment)


def _own_config(where: str, grid: Mapping, config: str) -> str:
    """Check the path of a user's own config, and return it."""
    if not Path(config).is_file():
        raise FileNotFoundError(f'{where}: no config {config}')
    if len(grid['datasets']) > 1:
        raise ValueError(
            f'{where}: {config} has one data set, but the grid has several'
        )
    if follows_stage1(Config.fromfile(config)):
        raise ValueError(
            f'{where}: {config} is a stage 2. Its stage 1 may have been trained on the '
            'test images: give the config of stage 1, and methods of stage 2 as stage2'
        )
    return config


def fold_options(fold: int) -> dict[str, str]:
    """Return the options that make a config use a fold, by dotted keys."""
    return {f'{loader}.dataset.split_column': f'fold{fold}' for loader in LOADERS}


def check_plain_values(where: object, options: Mapping) -> None:
    """Raise a ValueError if an option cannot be passed on a command line."""
    for key, value in options.items():
        if isinstance(value, Mapping) or (isinstance(value, str) and ',' in value):
            raise ValueError(
                f'{where}: options must be dotted keys with plain values, such as '
                f'optim_wrapper.clip_grad.max_norm=1.0, got {key}={value!r}'
            )


def check_keys(
    where: object, found: Mapping, known: Sequence[str], needed: Sequence[str]
) -> None:
    """Raise a ValueError if keys are unknown or missing."""
    unknown, missing = set(found) - set(known), set(needed) - set(found)
    if unknown or missing:
        raise ValueError(
            f'{where} has keys {", ".join(found)}; '
            + (f'unknown: {", ".join(sorted(unknown))}; ' if unknown else '')
            + (f'missing: {", ".join(sorted(missing))}; ' if missing else '')
            + f'known are {", ".join(known)}'
        )
