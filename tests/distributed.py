"""Running a function on several ranks of a gloo group on this machine."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.registry import init_default_scope

import tests.imported  # noqa: F401


def run_on_ranks(world_size: int, function: Callable, *args) -> list:
    """Return what ``function(rank, *args)`` returns on each rank."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = (world_size, folder, function, args)
        mp.start_processes(_run, arguments, world_size, start_method='fork')
        return [
            torch.load(Path(folder, f'{rank}.pth'), weights_only=False)
            for rank in range(world_size)
        ]


def _run(rank, world_size, folder, function, args):
    torch.set_num_threads(1)
    # They meet at a file: a port could be taken by somebody else.
    dist.init_process_group(
        'gloo', f'file://{folder}/meeting', rank=rank, world_size=world_size
    )
    init_default_scope('mmpretrain')
    torch.save(function(rank, *args), Path(folder, f'{rank}.pth'))
    dist.destroy_process_group()
