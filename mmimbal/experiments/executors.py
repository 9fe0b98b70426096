"""Where jobs run."""

import argparse
from pathlib import Path

from mmimbal.experiments.jobs import Executor
from mmimbal.experiments.local_executor import LocalExecutor
from mmimbal.experiments.slurm_executor import SlurmExecutor


def build_executor(args: argparse.Namespace, folder: Path) -> Executor:
    """Return the executor that runs jobs.

    Args:
        args: Values of the flags of ``add_executor_flags``.
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
