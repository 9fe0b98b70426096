"""A grid of experiments: data sets x folds x seeds x methods."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmimbal.command_line.experiment import Experiment
from mmimbal.experiments.grid_checks import (
    DATASET,
    GRID,
    METHOD,
    check_keys,
    check_method_name,
    check_plain_values,
    check_stage2,
)
from mmimbal.experiments.grid_run import FEATURE_VIEWS, GridRun
from mmimbal.files.config_text import read_config
from mmimbal.stage2.config import follows_stage1


@dataclass(frozen=True)
class Grid:
    """The content of a grid file.

    Attributes:
        title: Title on the page of results.
        notes: Notes for readers of the page.
        runs: All runs.
        metric_methods: Names of the methods with metric learning.
        plug_in: Pairs of methods, recipe and control, whose plug-in effect is shown.
        judged_on: ``'test'``, or ``'val'`` to search for recipes without reading test
            images.
    """

    title: str
    notes: str
    runs: Sequence[GridRun]
    metric_methods: Sequence[str]
    plug_in: Sequence[tuple[str, str]]
    judged_on: str


def load_grid(path: Path) -> Grid:
    """Read a grid file, a config with these keys.

    * ``profile``: a word.
    * ``datasets``: for each word, a dict that may have ``options``.
    * ``methods``: for each name, a dict with one of ``stage1`` (a word), ``one_stage``
      (a word of stage 2, whose head and sampler train the complete net) and ``config``
      (path of your own config, for a grid with one data set). Optional: ``stage2``
      (heads on the backbone: a list of words, or ``'all'``), ``profile`` (in place of
      that of the grid), ``options``, ``dataset_options`` (options for each data set),
      ``seeds``, and ``metric=True`` if it uses metric learning.
    * ``seeds``: a list.
    * Optional: ``title`` and ``notes`` of the page, ``folds``, ``flags`` of
      ``tools/train.py``, ``options`` for all runs, ``judged_on``, ``views`` (augmented
      views of each training image, for heads of stage 2; default 4), ``search=False``
      (hyper-parameters of stage 2 are those of its bases), and ``plug_in``: pairs of
      methods, (recipe, control), whose plug-in effect is shown.

    Names that begin with an underscore are variables of the file.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If the file, or a config in it, does not exist.
        ValueError: If a key is unknown or missing, a value has a wrong type, a word is
            unknown, words cannot be combined, or an option is not a plain value.
    """
    if not path.is_file():
        raise FileNotFoundError(f'no grid {path}')
    grid = read_config(path).to_dict()
    grid = {key: value for key, value in grid.items() if not key.startswith('_')}
    check_keys(path, grid, GRID, ('datasets', 'methods', 'seeds'))
    judged_on = grid.get('judged_on', 'test')
    if judged_on not in ('val', 'test'):
        raise ValueError(f"{path}: judged_on={judged_on!r} must be 'val' or 'test'")
    for dataset, about in grid['datasets'].items():
        check_keys(f'{path}, data set {dataset}', about, DATASET)
    for method, about in grid['methods'].items():
        check_method_name(path, method)
        check_keys(f'{path}, method {method}', about, METHOD)
    runs = [
        run
        for method, about in grid['methods'].items()
        for run in _runs_of_method(f'{path}, method {method}', grid, method, about)
    ]
    # First all methods with the first seed and fold: the table is useful early.
    runs.sort(key=lambda run: (run.seed, run.fold or 0))
    metric = [name for name, about in grid['methods'].items() if about.get('metric')]
    plug_in = [tuple(pair) for pair in grid.get('plug_in', [])]
    for pair in plug_in:
        unknown = set(pair) - set(grid['methods'])
        if len(pair) != 2 or unknown:
            raise ValueError(
                f'{path}: plug_in must be pairs of methods (recipe, control), got '
                f'{pair}; the methods are {", ".join(grid["methods"])}'
            )
    return Grid(
        grid.get('title', path.stem),
        grid.get('notes', ''),
        runs,
        metric,
        plug_in,
        judged_on,
    )


def _runs_of_method(
    where: str, grid: Mapping, method: str, about: Mapping
) -> Iterator[GridRun]:
    unknown = set(about.get('dataset_options', {})) - set(grid['datasets'])
    if unknown:
        raise ValueError(
            f'{where}: dataset_options has unknown data sets {", ".join(unknown)}; the '
            f'grid has {", ".join(grid["datasets"])}'
        )
    stage2 = about.get('stage2', [])
    stage2 = [stage2] if isinstance(stage2, str) else stage2
    check_stage2(where, stage2)
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
                    stage2,
                    options,
                    grid.get('flags', []),
                    grid.get('views', FEATURE_VIEWS),
                    grid.get('search', True),
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
    profile = about.get('profile', grid.get('profile'))
    if profile is None:
        raise ValueError(f'{where}: the grid has no profile. Add profile, e.g. 64px')
    experiment = Experiment(
        dataset, profile, about.get('stage1'), about.get('one_stage')
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
    if follows_stage1(read_config(config)):
        raise ValueError(
            f'{where}: {config} is a stage 2. Its stage 1 may have been trained on the '
            'test images: give the config of stage 1, and methods of stage 2 as stage2'
        )
    return config
