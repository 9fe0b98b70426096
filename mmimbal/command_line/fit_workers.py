"""Fit the workers of loaders to the cores of this machine."""

import os

from joblib import cpu_count
from mmengine.config import Config
from mmengine.logging import print_log

OF_WORKERS = (
    'multiprocessing_context',
    'persistent_workers',
    'prefetch_factor',
    'timeout',
)
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def fit_workers(cfg: Config) -> None:
    """Give each loader no more workers than this process has cores; log a line.

    Without workers, a loader has no options of them.

    The processes that ``torchrun`` starts on a machine share its cores.

    Args:
        cfg: The config, which is changed.

    Raises:
        ValueError: If a number of workers is no whole number.
    """
    for name in LOADERS:
        workers = (cfg.get(name) or {}).get('num_workers', 0)
        if not isinstance(workers, int):
            raise ValueError(f'{name}.num_workers={workers!r} must be a whole number')
    cores = max(1, cpu_count() // int(os.environ.get('LOCAL_WORLD_SIZE', 1)))
    fitted = {
        name: cfg[name].num_workers
        for name in LOADERS
        if cfg.get(name) and cfg[name].get('num_workers', 0) > cores
    }
    for name in fitted:
        cfg[name].num_workers = cores
    for name in LOADERS:
        if cfg.get(name) and not cfg[name].get('num_workers', 0):
            for option in OF_WORKERS:  # torch refuses them without workers
                cfg[name].pop(option, None)
    if fitted:
        numbers = ', '.join(f'{name} {number}' for name, number in fitted.items())
        print_log(
            f'More loader workers than cores ({numbers}): {cores} of each are used',
            logger='current',
        )
