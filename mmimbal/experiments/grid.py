"""A grid of experiments: data sets x folds x seeds x methods, and how to run each."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mmengine.config import Config

from mmimbal.stage2.config import follows_stage1

KEYS = (
    'title',
    'notes',
    'judged_on',
    'datasets',
    'folds',
    'seeds',
    'methods',
    'flags',
    'options',
)
DATASET_KEYS = ('bases', 'options')
METHOD_KEYS = (
    'config',
    'bases',
    'stage2',
    'options',
    'dataset_options',
    'seeds',
    'metric',
)
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


@dataclass(frozen=True)
class Experiment:
    """One training, and the heads that stage 2 trains on its backbone.

    Attributes:
        dataset: Name in the grid.
        bases: Bases that replace the config's own: ``OLD=NEW``.
        fold: Of cross-validation; ``None`` for the split of the data set.
        seed: Of the training.
        method: Name in the grid.
        config: A leaf, relative to ``configs/``.
        stage2: Methods of stage 2; none for a one-stage method.
        options: Changes of the config, by dotted keys.
        flags: Further flags of ``tools/train.py``.
    """

    dataset: str
    bases: Sequence[str]
    fold: int | None
    seed: int
    method: str
    config: str
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
        """All that its result depends on, but for the files that it names."""
        return json.loads(json.dumps(asdict(self)))

    def train(self, root: Path, folder: Path) -> list[str]:
        """Return the command, less Python, that trains.

        Args:
            root: Folder of ``tools/`` and ``configs/``.
            folder: Of this experiment. A training begun there is resumed.
        """
        options = {**self.options, 'randomness.seed': self.seed}
        if self.fold is not None:
            options |= fold_options(self.fold)
        work_dir = folder / 'train'
        command = [str(root / 'tools/train.py'), str(root / 'configs' / self.config)]
        for base in self.bases:
            command += ['--base', base]
        command += ['--work-dir', str(work_dir), *self.flags]
        if (work_dir / 'last_checkpoint').is_file():
            command.append('--resume')
        return [
            *command,
            '--cfg-options',
            *(f'{key}={value}' for key, value in sorted(options.items())),
        ]

    def compare(
        self, root: Path, folder: Path, on_test: bool, processes: int
    ) -> list[str]:
        """Return the command that trains heads on what :meth:`train` has left.

        Args:
            root: Folder of ``tools/``.
            folder: Of this experiment.
            on_test: Whether test images are read, and what heads say of them is kept.
            processes: That train heads side by side.
        """
        return [
            str(root / 'tools/stage2_sweep.py'),
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
        experiments: All of them.
        metric: Names of the methods with metric learning.
        judged_on: ``'test'``, or ``'val'`` while recipes are looked for: then test
            images are not read.
    """

    title: str
    notes: str
    experiments: Sequence[Experiment]
    metric: Sequence[str]
    judged_on: str


def load_grid(path: Path, root: Path) -> Grid:
    """Read a grid file.

    It is a config of: ``datasets``, by name a dict of ``bases`` (``OLD=NEW``) and
    ``options``; ``methods``, by name a dict of ``config`` (relative to ``configs/``)
    and perhaps ``stage2`` (a list, or ``'all'``), ``bases``, ``options``,
    ``dataset_options`` (options by data set), ``seeds`` of its own and ``metric=True``
    for metric learning; ``seeds``; and perhaps ``title``, ``notes`` for its page,
    ``folds``, ``flags`` of ``tools/train.py``, ``options`` for all, and ``judged_on``.
    Names that begin with an underscore are the file's own.

    Args:
        path: The file.
        root: Folder of ``configs/``.

    Raises:
        FileNotFoundError: If the grid or a config is missing.
        ValueError: If a key is unknown or missing, an option is no plain value, or a
            config follows a stage 1 of its own.
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
    found = []
    for method, cfg in grid['methods'].items():
        check_keys(f'{path}, method {method}', cfg, METHOD_KEYS, ('config',))
        unknown = set(cfg.get('dataset_options', {})) - set(grid['datasets'])
        if unknown:
            raise ValueError(
                f'{path}, method {method}: dataset_options of {", ".join(unknown)}, '
                f'but the data sets are {", ".join(grid["datasets"])}'
            )
        if not (root / 'configs' / cfg['config']).is_file():
            raise FileNotFoundError(
                f'{path}, method {method}: no config {root / "configs" / cfg["config"]}'
            )
        leaf = Config.fromfile(root / 'configs' / cfg['config'])
        if follows_stage1(leaf):
            raise ValueError(
                f'{path}, method {method}: {cfg["config"]} follows a stage 1 that may '
                'have seen the test images. Give the config of stage 1, and heads of '
                'stage 2 as stage2'
            )
        stage2 = cfg.get('stage2', [])
        found += [
            Experiment(
                dataset,
                [*about.get('bases', []), *cfg.get('bases', [])],
                fold,
                seed,
                method,
                cfg['config'],
                [stage2] if isinstance(stage2, str) else stage2,
                {
                    **grid.get('options', {}),
                    **about.get('options', {}),
                    **cfg.get('options', {}),
                    **cfg.get('dataset_options', {}).get(dataset, {}),
                },
                grid.get('flags', []),
            )
            for dataset, about in grid['datasets'].items()
            for fold in grid.get('folds', [None])
            for seed in cfg.get('seeds', grid['seeds'])
        ]
    for one in found:
        check_plain_values(f'{path}, {one.name}', one.options)
    # Every method once before any a second time: a table is of use early.
    found.sort(key=lambda one: (one.seed, one.fold or 0))
    metric = [name for name, cfg in grid['methods'].items() if cfg.get('metric')]
    return Grid(
        grid.get('title', path.stem), grid.get('notes', ''), found, metric, judged_on
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
