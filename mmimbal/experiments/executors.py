"""Command-line flags that choose where jobs run."""

import argparse
from pathlib import Path

from mmengine.config import DictAction

from mmimbal.experiments.jobs import Executor
from mmimbal.experiments.local_executor import LocalExecutor
from mmimbal.experiments.slurm_executor import SlurmExecutor


def add_executor_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that choose where jobs run."""
    parser.add_argument(
        '--workers',
        type=int,
        help='number of jobs at the same time; default: one per GPU, or one per core '
        'without GPUs. Small nets do not fill a GPU: with nvidia-cuda-mps-control, '
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
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help='parameters of submitit.SlurmExecutor, e.g. partition=gpu time=240 '
        'gpus_per_node=1',
    )


def build_executor(args: argparse.Namespace, folder: Path) -> Executor:
    """Return the executor that runs jobs.

    Args:
        args: Values of the flags of :func:`add_executor_flags`.
        folder: Folder for the scripts and logs of a cluster.

    Raises:
        ValueError: If flags cannot be combined.
    """
    if args.cluster_options and not args.cluster:
        raise ValueError('--cluster-options needs --cluster slurm')
    if args.cluster and args.workers:
        raise ValueError('--workers cannot be combined with --cluster')
    if args.cluster:
        return SlurmExecutor(folder / 'slurm', args.cluster_options)
    return LocalExecutor(args.workers)
