"""What command-line flags do to a config."""

import argparse
import logging
import os
import shlex
import shutil
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmengine.logging import print_log
from mmpretrain.registry import HOOKS, OPTIMIZERS

from mmimbal.command_line.compose import load_experiment
from mmimbal.command_line.config_mistakes import unknown_type
from mmimbal.command_line.cpu_ranks import start_on_cpu
from mmimbal.command_line.fit_workers import fit_workers
from mmimbal.command_line.missing_files import goes_on
from mmimbal.command_line.options import (
    check_custom_hooks,
    check_options,
    merge_options,
)
from mmimbal.engine.amp import has_bf16, is_slower_in_bf16
from mmimbal.files.atomic import check_is_no_file
from mmimbal.files.dataset_config import innermost
from mmimbal.files.work_dir import find_checkpoint
from mmimbal.stage2.config import two_stage_hooks


def load_config(args: argparse.Namespace) -> Config:
    """Load ``args.config`` and apply the common flags.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If an option would have no effect, see
            :func:`mmimbal.command_line.options.check_options`; if custom hooks are no
            dicts; or if it is not an experiment, see
            :func:`mmimbal.command_line.compose.load_experiment`.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = load_experiment(args.config, args.profile, args.base)
    check_options(args.cfg_options, cfg)
    merge_options(cfg, args.cfg_options)
    check_custom_hooks(cfg)
    fit_workers(cfg)
    if args.work_dir:
        cfg.work_dir = args.work_dir
    cfg.setdefault('work_dir', f'work_dirs/{Path(args.config).stem}')
    check_is_no_file(Path(cfg.work_dir))
    cfg.launcher = args.launcher
    if args.launcher != 'none' and not torch.cuda.is_available():
        start_on_cpu(cfg)
    return cfg


def check_optimizer(cfg: Config) -> None:
    """Raise a ValueError if there is no such optimizer: mmengine does not name it."""
    kind = ((cfg.get('optim_wrapper') or {}).get('optimizer') or {}).get('type')
    if isinstance(kind, str) and OPTIMIZERS.get(kind) is None:
        raise ValueError(unknown_type(kind, 'optimizer'))


def warn_unless_deterministic(cfg: Config) -> None:
    """Warn if two runs with the same seed may differ."""
    if torch.cuda.is_available() and not cfg.get('randomness', {}).get('deterministic'):
        print_log(
            'On a GPU, two runs with the same seed, or a resumed run, may differ by '
            'rounding. --cfg-options randomness.deterministic=True makes them equal, '
            'but slower',
            logger='current',
        )


def can_use_amp() -> bool:
    """Return whether mixed precision is faster here; if not, log a line."""
    if torch.cuda.is_available():
        return True
    if not has_bf16():
        reason = 'this CPU has no instructions for bfloat16, which would be slower than'
    elif is_slower_in_bf16():
        reason = 'this CPU has instructions for bfloat16, but is slower with it than in'
    else:
        return True
    print_log(f'--amp: {reason} float32, so float32 is used', logger='current')
    return False


def drop_compile_without_compiler(cfg: Config) -> None:
    """Train without ``compile`` if there is no C++ compiler; log a line."""
    compiler = shlex.split(os.environ.get('CXX') or 'g++')[0]
    if cfg.get('compile') and shutil.which(compiler) is None:
        cfg.compile = False
        print_log(
            f'compile: there is no C++ compiler {compiler}, so the model is not '
            'compiled',
            logger='current',
        )


def use_amp(cfg: Config) -> None:
    """Train in mixed precision: float16 on a GPU, bfloat16 on a CPU that has it."""
    if not can_use_amp():
        return
    on_gpu = torch.cuda.is_available()
    cfg.optim_wrapper.type = (
        'AmpOptimWrapper' if on_gpu else 'mmimbal.CPUAmpOptimWrapper'
    )


def warn_of_other_length(cfg: Config) -> None:
    """Warn if a cosine schedule is shorter or longer than its training.

    A shorter one lets the rate rise again; with a longer one the training ends at a
    high rate.
    """
    last = (cfg.get('train_cfg') or {}).get('max_epochs')
    stages = [('param_scheduler', cfg.get('param_scheduler'), last)]
    for hook in two_stage_hooks(cfg):
        switch = hook.get('epoch')
        if not (switch and last):
            continue  # a run of stage 2 alone
        own = (hook.get('stage2') or {}).get('param_scheduler')
        stages = [
            ('param_scheduler', cfg.get('param_scheduler'), switch),
            ('stage2.param_scheduler of TwoStageHook', own, last - switch),
        ]
    for key, schedulers, epochs in stages:
        for each in [schedulers] if isinstance(schedulers, dict) else schedulers or []:
            text = epochs and misfit(each, epochs)
            if text:
                print_log(
                    f'{each["type"]} {text} in {key}',
                    logger='current',
                    level=logging.WARNING,
                )


def misfit(scheduler: dict, epochs: int) -> str:
    """Return how the length of a cosine schedule differs from that of its training.

    Args:
        scheduler: Config of a scheduler.
        epochs: Number of epochs of the training.

    Returns:
        A text; empty if nothing differs.
    """
    length, begin = scheduler.get('T_max'), scheduler.get('begin', 0)
    if not (length and scheduler.get('by_epoch', True)):
        return ''
    lowest = begin + length
    if lowest < min(scheduler.get('end') or epochs, epochs):
        then = 'and then the rate rises again'
    elif lowest > epochs:
        then = 'so that the training ends at a higher rate'
    else:
        return ''
    return (
        f'has its lowest learning rate after {lowest} of {epochs} epochs, {then}: '
        f'set T_max to {epochs - begin}'
    )


def start_from(cfg: Config, stage1: str) -> None:
    """Start stage 2 from another stage 1 than that of the config.

    Args:
        cfg: The config, which is changed.
        stage1: A checkpoint or a work dir.

    Raises:
        FileNotFoundError: If there is no checkpoint.
        ValueError: If the config is none of stage 2, or the work dir has best
            checkpoints by several metrics.
    """
    stages = two_stage_hooks(cfg)
    if not stages:
        raise ValueError(
            '--stage1 is for configs of stage 2, but this config has no TwoStageHook'
        )
    stages[0].stage1 = stage1
    if goes_on(cfg):  # with the weights of its stage 1
        return
    try:
        find_checkpoint(stage1)
    except FileNotFoundError as error:
        raise FileNotFoundError(f'--stage1: {error}') from None


def choose_split(cfg: Config, split: str) -> None:
    """Test on another split of the data set.

    Args:
        cfg: The config, which is changed.
        split: Name of the split.

    Raises:
        ValueError: If the data set has no splits.
    """
    dataset = innermost(cfg.test_dataloader.dataset, 'split')
    if 'split' not in dataset:
        raise ValueError(
            f'--split needs a data set with splits, such as mmimbal.CSVDataset; '
            f'{dataset.get("type")} has none'
        )
    dataset.split = split


def drop_averaging(cfg: Config) -> None:
    """Remove hooks that average weights: those of a checkpoint are the average.

    Args:
        cfg: Config of a test run, which is changed.
    """

    def averages(hook: dict) -> bool:
        kind = hook['type']
        kind = HOOKS.get(kind) if isinstance(kind, str) else kind
        return isinstance(kind, type) and issubclass(kind, EMAHook)

    cfg.custom_hooks = [h for h in cfg.get('custom_hooks') or () if not averages(h)]
    default = cfg.get('default_hooks') or {}
    for key in [key for key, hook in default.items() if hook and averages(hook)]:
        del default[key]
