"""The checkpoint that a stopped run goes on from."""

import re
from pathlib import Path

from mmimbal.files.checkpoint import load_from_local
from mmimbal.files.work_dir import last_checkpoint


def newest_loadable(work_dir: Path, logger, unit: str = 'epoch') -> Path | None:
    """Return the newest checkpoint of a run that can be loaded; warn of damaged ones.

    Checkpoints that an earlier run has left in the work dir are not taken.

    Args:
        work_dir: Work dir of the run.
        logger: Gets the warnings.
        unit: What the training loop counts, ``'epoch'`` or ``'iter'``: checkpoints are
            named by it. In a loop of epochs, others were written inside an epoch.

    Raises:
        UnsafeCheckpointError: If a checkpoint contains more than plain data.
    """
    numbers = {
        file: int(number[1])
        for file in work_dir.glob('*.pth')
        if (number := re.fullmatch(rf'{unit}_(\d+)', file.stem))
    }
    last = last_checkpoint(work_dir)
    if last in numbers:
        # A higher number was written after it by a run that was killed then, or before
        # it by an earlier run.
        written = last.stat().st_mtime
        numbers = {
            file: number
            for file, number in numbers.items()
            if number <= numbers[last] or file.stat().st_mtime >= written
        }
    for file in sorted(numbers, key=numbers.get, reverse=True):
        try:
            load_from_local(file, 'cpu')
            return file
        except ValueError as error:
            logger.warning(f'Skipped: {error}')
    return None
