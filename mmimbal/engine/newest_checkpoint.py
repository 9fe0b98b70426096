"""The checkpoint that a stopped run goes on from."""

import re
from pathlib import Path

from mmimbal.files.checkpoint import load_from_local
from mmimbal.files.work_dir import POINTER, last_checkpoint


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
    name = re.compile(rf'{unit}_(\d+)')
    numbers = {
        file: int(number[1])
        for file in work_dir.glob('*.pth')
        if (number := name.fullmatch(file.stem))
    }
    last = last_checkpoint(work_dir)
    if last and (number := name.fullmatch(last.stem)):
        # A higher number was written after it by a run that was killed then, or before
        # it by an earlier run. If it is gone, it was there when the pointer was.
        dated = last if last.is_file() else work_dir / POINTER
        numbers = {
            file: each
            for file, each in numbers.items()
            if each <= int(number[1]) or file.stat().st_mtime >= dated.stat().st_mtime
        }
    for file in sorted(numbers, key=numbers.get, reverse=True):
        try:
            load_from_local(file, 'cpu')
            return file
        except ValueError as error:
            logger.warning(f'Skipped: {error}')
    return None
