"""The checkpoints and the config of a work dir."""

import re
from pathlib import Path

POINTER = 'last_checkpoint'  # written by mmengine


def last_checkpoint(work_dir: Path) -> Path | None:
    """Return the last checkpoint of a work dir, ``None`` if it names none.

    mmengine writes its path at the time of training: the folder may have moved. With
    ``out_dir`` of ``CheckpointHook``, the file is in another folder. It may be missing.
    """
    pointer = work_dir / POINTER
    if not pointer.is_file():
        return None
    written = Path(pointer.read_text(encoding='utf-8').strip())
    if not written.name:  # a full disk, or a run that was killed
        return None
    here = work_dir / written.name
    is_of_a_work_dir = (written.parent / POINTER).exists()
    if not here.is_file() and written.is_file() and not is_of_a_work_dir:
        return written
    return here


def can_resume(work_dir: Path) -> bool:
    """Return whether a run in a work dir can go on, also if it names no checkpoint."""
    last = last_checkpoint(work_dir)
    return bool(last and last.is_file()) or any(
        not file.name.startswith('best_') for file in checkpoints_of_run(work_dir)
    )


def checkpoints_of_run(work_dir: Path) -> list[Path]:
    """Return the checkpoints with the names that mmengine gives, the oldest first."""
    usual = re.compile(r'(best_.*_)?(epoch|iter)_\d+\.pth')
    files = [file for file in work_dir.glob('*.pth') if usual.fullmatch(file.name)]
    return sorted(files, key=lambda file: file.stat().st_mtime)


def holds_training(folder: Path) -> bool:
    """Return whether a folder has, or will have, checkpoints of a training."""
    has_lock = (folder / 'train.lock').is_file()
    return has_lock or bool(last_checkpoint(folder)) or any(folder.glob('*.pth'))


def find_checkpoint(path: str) -> Path:
    """Return a checkpoint, or the best or else the last checkpoint of a work dir.

    Args:
        path: A checkpoint or a work dir. If a work dir has several best checkpoints,
            the newest is returned: each new best is better than those before. If it has
            none, because of ``save_best=None`` or ``--no-validate``, the last
            checkpoint is.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If the work dir has best checkpoints by several metrics.
    """
    checkpoint = Path(path).expanduser()
    if checkpoint.is_file():
        return checkpoint
    work_dir = checkpoint
    best = sorted(work_dir.glob('best_*.pth'), key=lambda file: file.stat().st_mtime)
    if not best:
        return _last_checkpoint(work_dir)
    metrics = {re.sub(r'_(epoch|iter)_\d+$', '', file.stem) for file in best}
    if len(metrics) > 1:
        raise ValueError(
            f'{path} has best checkpoints by several metrics: '
            f'{", ".join(file.name for file in best)}. Name one of these files'
        )
    return best[-1]


def _last_checkpoint(work_dir: Path) -> Path:
    last = last_checkpoint(work_dir)
    if not last:
        has_none = 'has neither best_*.pth nor a last checkpoint'
        reason = has_none if work_dir.is_dir() else 'does not exist'
        raise FileNotFoundError(f'no checkpoint: {work_dir} {reason}')
    if not last.is_file():
        raise FileNotFoundError(f'no checkpoint: {last}, the last one, is missing')
    return last


def find_config(checkpoint: Path) -> Path:
    """Return the config in the folder of a checkpoint.

    It has the name of the checkpoint, or is the only config there.

    Raises:
        FileNotFoundError: If there is none, or there are several.
    """
    own = checkpoint.with_suffix('.py')
    configs = [own] if own.is_file() else sorted(checkpoint.parent.glob('*.py'))
    if len(configs) != 1:
        names = ', '.join(file.name for file in configs) or 'none'
        raise FileNotFoundError(
            f'expected one config in {checkpoint.parent}, where mmengine writes it; '
            f'found {names}. Put the config of the checkpoint there as {own.name}, or '
            'name it with --config where a tool has this flag'
        )
    return configs[0]
