"""Several ranks without GPUs: mmengine's launchers need one for each rank."""

import atexit
import gc

import torch.distributed as dist
from mmengine.config import Config


def start_on_cpu(cfg: Config) -> None:
    """Start a gloo process group, and let DDP take tensors of the CPU."""
    join_on_cpu()
    wrapper = dict(
        type='MMDistributedDataParallel',
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    wrapper.update(cfg.get('model_wrapper_cfg') or {}, device_ids=None)
    cfg.model_wrapper_cfg = wrapper


def join_on_cpu() -> None:
    """Start a gloo process group; mmengine's launchers need a GPU for each rank."""
    dist.init_process_group('gloo')
    atexit.register(end_on_cpu)


def end_on_cpu() -> None:
    """Destroy the process group and end its threads before Python exits.

    A gloo thread that frees a tensor while Python exits would abort the process. The
    destructor of gloo waits for its threads. The group must be the last one that holds
    it: torch then lets other threads run Python meanwhile. A DDP that is collected
    later would not, and wait forever for a thread that frees a tensor.
    """
    gc.collect()  # DDP is in reference cycles
    if dist.is_initialized():
        dist.destroy_process_group()
