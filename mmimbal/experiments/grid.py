"""A grid of experiments: data sets x folds x seeds x methods, and how to run each."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mmengine.config import Config

from mmimbal.command_line.experiment import Experiment

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
    'stage2',
    'options',
    'dataset_options',
    'seeds',
    'metric',
)
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


@dataclass(frozen=True)
class GridRun:
    """One training, and the heads that stage 2 trains on its backbone.

    Attributes:
        experiment: What is trained, such as ``isic2018/64px/triplet``.
        dataset: The data set of it.
        fold: Of cross-validation; ``None`` for the split of the data set.
        seed: Of the training.
        method: Name in the grid.
        stage2: Methods of stage 2; none for a method that has only one stage.
        options: Changes of the config, by dotted keys.
        flags: Further flags of ``tools/train.py``.
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
        """What its files are called."""
        fold = 'split' if self.fold is None else f'fold{self.fold}'
        return f'{self.dataset}_{fold}_{self.method}_seed{self.seed}'

    @property
    def settings(self) -> dict:
        """All that its result depends on, except the files that it names."""
        return json.loads(json.dumps(asdict(self)))

    def train(self, tools: Path, folder: Path) -> list[str]:
        """Return the command, without Python, that trains.

        Args:
            tools: Folder of our tools.
            folder: Of this run. A training begun there is resumed.
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

    def compare(
        self, tools: Path, folder: Path, on_test: bool, processes: int
    ) -> list[str]:
        """Return the command that trains heads on what :meth:`train` has left.

        Args:
            tools: Folder of our tools.
            folder: Of this run.
            on_test: Whether test images are read, and predictions of heads kept.
            processes: That train heads side by side.
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
    """What a grid file says.

    Attributes:
        title: Of its page.
        notes: What readers of its page should know.
        runs: All of them.
        metric: Names of the methods with metric learning.
        judged_on: ``'test'``, or ``'val'`` while recipes are looked for: then test
            images are not read.
    """

    title: str
    notes: str
    runs: Sequence[GridRun]
    metric: Sequence[str]
    judged_on: str


def load_grid(path: Path) -> Grid:
    """Read a grid file.

    It is a config of: ``profile``; ``datasets``, by word a dict that may have
    ``options``; ``methods``, by name a dict of ``stage1`` (a word) or ``one_stage`` (a
    word of stage 2, whose head and sampler train the whole net), and perhaps
    ``stage2`` (heads on the backbone: a list of words, or ``'all'``), ``options``,
    ``dataset_options`` (options by data set), ``seeds`` of its own and ``metric=True``
    for metric learning; ``seeds``; and perhaps ``title``, ``notes`` for its page,
    ``folds``, ``flags`` of ``tools/train.py``, ``options`` for all, and ``judged_on``.
    Names that begin with an underscore are the file's own.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a key is unknown or missing, a word is unknown, words cannot be
            combined, or an option is not a plain value.
    """
    if not path.is_file():
        raise FileNotFoundError(f'no grid {path}')
    grid = Config.fromfile(path).to_dict()
    grid = {key: value for key, value in grid.items() if not key.startswith('_')}
    check_keys(path, grid, KEYS, ('profile', 'datasets', 'methods', 'seeds'))
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
    # Every method once before any a second time: a table is of use early.
    runs.sort(key=lambda run: (run.seed, run.fold or 0))
    metric = [name for name, about in grid['methods'].items() if about.get('metric')]
    return Grid(
        grid.get('title', path.stem), grid.get('notes', ''), runs, metric, judged_on
    )


def _runs_of_method(
    where: str, grid: Mapping, method: str, about: Mapping
) -> Iterator[GridRun]:
    check_keys(where, about, METHOD_KEYS, ())
    if ('stage1' in about) == ('one_stage' in about):
        raise ValueError(f'{where}: give either stage1 or one_stage')
    unknown = set(about.get('dataset_options', {})) - set(grid['datasets'])
    if unknown:
        raise ValueError(
            f'{where}: dataset_options of {", ".join(unknown)}, but the data sets are '
            f'{", ".join(grid["datasets"])}'
        )
    stage2 = about.get('stage2', [])
    for dataset, of_dataset in grid['datasets'].items():
        experiment = Experiment(
            dataset, grid['profile'], about.get('stage1'), about.get('one_stage')
        )
        try:
            experiment.check()
        except ValueError as error:
            raise ValueError(f'{where}: {error}') from None
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
                    str(experiment),
                    dataset,
                    fold,
                    seed,
                    method,
                    [stage2] if isinstance(stage2, str) else stage2,
                    options,
                    grid.get('flags', []),
                )


def fold_options(fold: int) -> dict[str, str]:
    """Return what makes a config one of a fold of cross-validation, by dotted keys."""
    return {f'{loader}.dataset.split_column': f'fold{fold}' for loader in LOADERS}


def check_plain_values(where: object, options: Mapping) -> None:
    """Raise a ValueError if a command line cannot hand an option over."""
    for key, value in options.items():
        if isinstance(value, Mapping) or (isinstance(value, str) and ',' in value):
            raise ValueError(
                f'{where}: options have one value for a dotted key, such as '
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
