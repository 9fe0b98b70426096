"""Read the progress of a run from its work dir."""

import re
from functools import cache
from pathlib import Path

from mmimbal.files.config_text import read_config
from mmimbal.files.work_dir import last_checkpoint


def share_of_training(work_dir: Path) -> float:
    """Return the share of epochs that a run has finished, 0..1; 0 if unknown.

    Args:
        work_dir: Work dir of a run with an epoch-based loop.
    """
    try:
        last = last_checkpoint(work_dir)
        config = max(work_dir.glob('*.py'), key=lambda file: file.stat().st_mtime)
        epochs = _epochs_of(str(config), config.stat().st_mtime_ns)
        return min(1.0, int(re.search(r'epoch_(\d+)', last.name)[1]) / epochs)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return 0.0


@cache
def _epochs_of(config: str, written: int) -> int:
    """Return the epochs of a config; ``written`` is its time, for the cache only."""
    return read_config(config).train_cfg.max_epochs
