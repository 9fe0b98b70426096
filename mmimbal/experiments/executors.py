"""Where jobs run, as the command line says it."""

import argparse
from pathlib import Path

from mmengine.config import DictAction

from mmimbal.experiments.jobs import Executor
from mmimbal.experiments.local_executor import LocalExecutor
from mmimbal.experiments.slurm_executor import SlurmExecutor


def add_executor_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say where jobs run."""
    parser.add_argument(
        '--workers',
        type=int,
        help='side by side; default: one per GPU, else per core. Small nets leave GPUs '
        'idle: several share one well where nvidia-cuda-mps-control runs',
    )
    parser.add_argument(
        '--cluster',
        choices=['slurm'],
        help='submit each job to a cluster instead of running it here',
    )
    parser.add_argument(
        '--cluster-options',
        nargs='+',
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help='of submitit.SlurmExecutor, e.g. partition=gpu time=240 gpus_per_node=1',
    )


def build_executor(args: argparse.Namespace, folder: Path) -> Executor:
    """Return where jobs run.

    Args:
        args: With the flags of :func:`add_executor_flags`.
        folder: For what a cluster needs.

    Raises:
        ValueError: If flags do not go together.
    """
    if args.cluster_options and not args.cluster:
        raise ValueError('--cluster-options needs --cluster slurm')
    if args.cluster and args.workers:
        raise ValueError('--workers is for this machine: not with --cluster')
    if args.cluster:
        return SlurmExecutor(folder / 'slurm', args.cluster_options)
    return LocalExecutor(args.workers)
