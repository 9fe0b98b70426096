"""How far a training is, from its work dir."""

import re
from functools import cache
from pathlib import Path

from mmengine.config import Config


def share_of_training(work_dir: Path) -> float:
    """Return how many of its epochs a training has done, 0..1; 0 if none is known.

    Args:
        work_dir: Of a run that counts epochs.
    """
    try:
        last = (work_dir / 'last_checkpoint').read_text()
        config = max(work_dir.glob('*.py'), key=lambda file: file.stat().st_mtime)
        epochs = _epochs_of(str(config), config.stat().st_mtime_ns)
        return min(1.0, int(re.search(r'epoch_(\d+)', last)[1]) / epochs)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return 0.0


@cache
def _epochs_of(config: str, written: int) -> int:
    """Return the epochs of a config; ``written`` tells a new file from an old one."""
    return Config.fromfile(config).train_cfg.max_epochs
