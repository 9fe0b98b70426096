"""Command-line flags of the tools, and what they change in a config."""

import argparse
import atexit
import difflib
import gc
import inspect
import os
from collections.abc import Iterable
from pathlib import Path

import torch
import torch.distributed as dist
from mmengine.config import Config, DictAction
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmimbal.command_line.compose import load_experiment
from mmimbal.command_line.experiment import words_of
from mmimbal.files.atomic import check_is_no_file

# What a Runner reads of a config: its arguments, and keys it looks up itself.
RUNNER_KEYS = {
    *inspect.signature(Runner.__init__).parameters,
    'activation_checkpointing',
    'compile',
    'efficient_conv_bn_eval',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'sync_bn',
    'tta_model',
    'tta_pipeline',
} - {'self', 'cfg'}


def add_common_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that training and testing share, named as in MMPretrain."""
    parser.add_argument('--work-dir', help='where logs and checkpoints go')
    parser.add_argument(
        '--base',
        action='append',
        default=[],
        metavar='OLD=NEW',
        help='another word of the experiment, e.g. stage2/crt=stage2/lws',
    )
    parser.add_argument(
        '--profile',
        choices=words_of('profiles'),
        help='how big and how long, e.g. 64px: a small net on small images, for a CPU',
    )
    parser.add_argument(
        '--amp', action='store_true', help='mixed precision; bfloat16 on a CPU'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help='change the config, e.g. optim_wrapper.optimizer.lr=0.01',
    )
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none'
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def load_config(args: argparse.Namespace) -> Config:
    """Load ``args.config`` and apply the common flags.

    Raises:
        FileNotFoundError: If there is no such file.
        KeyError: If an option would change nothing; see :func:`check_options`.
        ValueError: If it is no experiment; see
            :func:`mmimbal.command_line.compose.load_experiment`.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = load_experiment(args.config, args.profile, args.base)
    check_options(args.cfg_options, cfg)
    cfg.merge_from_dict(args.cfg_options)
    if args.work_dir:
        cfg.work_dir = args.work_dir
    cfg.setdefault('work_dir', f'work_dirs/{Path(args.config).stem}')
    check_is_no_file(Path(cfg.work_dir))
    cfg.launcher = args.launcher
    if args.launcher != 'none' and not torch.cuda.is_available():
        start_on_cpu(cfg)
    return cfg


def check_options(options: Iterable[str], cfg: Config) -> None:
    """Refuse ``--cfg-options`` that the Runner would never read.

    Config files name their parts in variables of their own (``head``); changing one
    of those after the file was read changes nothing.

    Raises:
        KeyError: If an option does not start with a key that the Runner reads.
    """
    for option in options:
        key, _, rest = option.partition('.')
        if key == 'launcher':
            raise KeyError(
                '--cfg-options launcher would change nothing: use --launcher'
            )
        if key in RUNNER_KEYS:
            continue
        if key in cfg:
            hint = f"'{key}' is a variable of the config files. "
            if 'head' in key:
                hint += f"Did you mean 'model.head{'.' + rest if rest else ''}'?"
        else:
            near = difflib.get_close_matches(key, RUNNER_KEYS, n=1)
            hint = f"Did you mean '{near[0]}'?" if near else ''
        raise KeyError(f'--cfg-options {option} would change nothing. {hint}'.rstrip())


def start_on_cpu(cfg: Config) -> None:
    """Start a gloo process group, since mmengine's launchers want a GPU each."""
    dist.init_process_group('gloo')
    atexit.register(end_on_cpu)
    wrapper = dict(
        type='MMDistributedDataParallel',
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    wrapper.update(cfg.get('model_wrapper_cfg') or {}, device_ids=None)
    cfg.model_wrapper_cfg = wrapper


def end_on_cpu() -> None:
    """Destroy the process group and what holds it, and with that end its threads.

    One of them that drops a tensor while Python ends aborts the process: gloo's
    destructor waits for them, but DDP's cycles would keep it from being called.
    """
    if dist.is_initialized():
        dist.destroy_process_group()
    gc.collect()


def warn_unless_deterministic(cfg: Config) -> None:
    """Say what keeps two runs of one seed from being equal to the bit."""
    if torch.cuda.is_available() and not cfg.get('randomness', {}).get('deterministic'):
        print_log(
            'On a GPU, convolutions and sums of one seed may differ in their last '
            'bits from run to run, and a resumed run with them: for less speed, '
            '--cfg-options randomness.deterministic=True makes them equal',
            logger='current',
        )


def use_amp(cfg: Config) -> None:
    """Train in mixed precision: float16 on a GPU, bfloat16 on a CPU."""
    on_gpu = torch.cuda.is_available()
    cfg.optim_wrapper.type = (
        'AmpOptimWrapper' if on_gpu else 'mmimbal.CPUAmpOptimWrapper'
    )
