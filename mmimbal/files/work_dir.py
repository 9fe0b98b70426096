"""The checkpoints of a work dir."""

from pathlib import Path

POINTER = 'last_checkpoint'  # written by mmengine


def last_checkpoint(work_dir: Path) -> Path | None:
    """Return the last checkpoint of a work dir, ``None`` if it has never had one.

    mmengine writes its path at the time of training: the folder may have moved. The
    file itself may be missing.
    """
    pointer = work_dir / POINTER
    if not pointer.is_file():
        return None
    return work_dir / Path(pointer.read_text(encoding='utf-8').strip()).name
