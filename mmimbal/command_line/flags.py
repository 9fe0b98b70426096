"""Command-line flags that several tools share.

This module imports nothing that takes seconds: ``--help`` must be quick.
"""

import argparse

from mmengine.config import DictAction

from mmimbal.command_line.experiment import words_of
from mmimbal.command_line.flag_types import at_least

# Flags of train.py that test.py has not.
FLAGS_OF_TRAINING = ('--auto-scale-lr', '--no-validate')


class KeyValues(DictAction):
    """Options ``KEY=VALUE``, as mmengine reads them."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Refuse an option without ``=``, or with a dict as value."""
        for value in values:
            if '=' not in value:
                parser.error(f'{option_string} {value}: expected KEY=VALUE')
        try:
            super().__call__(parser, namespace, values, option_string)
        except AssertionError as error:  # of mmengine
            parser.error(f'{option_string} {" ".join(values)}: {error}')
        except RecursionError:  # of mmengine
            parser.error(
                f'{option_string} {" ".join(values)}: a value cannot hold a dict. '
                "Write it into a config file with _base_ = '...'"
            )


def add_common_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that train.py and test.py share, with names as in MMPretrain."""
    parser.add_argument('--work-dir', help='folder for logs and checkpoints')
    add_experiment_flags(parser)
    parser.add_argument(
        '--amp',
        action='store_true',
        help='mixed precision; on a CPU bfloat16, if it has instructions for it',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=KeyValues,
        default={},
        metavar='KEY=VALUE',
        help='change the config, e.g. optim_wrapper.optimizer.lr=0.01',
    )
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none'
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def add_experiment_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that replace parts of an experiment."""
    parser.add_argument(
        '--base',
        action='append',
        default=[],
        metavar='OLD=NEW',
        help='replace a base of the experiment, e.g. stage2/crt=stage2/lws',
    )
    parser.add_argument(
        '--profile',
        choices=words_of('profiles'),
        help='image size, net and schedule, e.g. 64px: small images, for a CPU',
    )


def add_executor_flags(
    parser: argparse.ArgumentParser, without_gpus: str = 'one per core'
) -> None:
    """Add the flags that choose where jobs run.

    Args:
        parser: Parser of a tool.
        without_gpus: How many jobs run at the same time on a CPU, for ``--help``.
    """
    parser.add_argument(
        '--workers',
        type=at_least(1),
        help='number of jobs at the same time; default: one per GPU; without GPUs '
        f'{without_gpus}. Small nets do not fill a GPU: with nvidia-cuda-mps-control, '
        'several jobs can share one',
    )
    parser.add_argument(
        '--cluster',
        choices=['slurm'],
        help='submit each job to a cluster instead of running it on this machine',
    )
    parser.add_argument(
        '--cluster-options',
        nargs='+',
        action=KeyValues,
        default={},
        metavar='KEY=VALUE',
        help='parameters of submitit.SlurmExecutor, e.g. partition=gpu time=240 '
        'gpus_per_node=1',
    )
