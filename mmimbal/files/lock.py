"""One process at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


class InUseError(OSError):
    """Another process is at work in the same place."""


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[None]:
    """Let one process at a time be here for a path.

    The lock is a file beside the path. It is free again when the process ends, however
    it ends. Programs that the process has started do not hold it.

    Args:
        path: What is worked on.
        wait: Whether to wait for another process.

    Raises:
        InUseError: If another process is here, unless this one waits.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f'{path.name}.lock'))
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        raise InUseError(f'another process is at work on {path}') from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def locked_work_dir(work_dir: Path) -> Iterator[None]:
    """Keep a second run out of a work dir.

    Raises:
        InUseError: If another run trains there.
    """
    try:
        with locked(work_dir / 'train', wait=False):
            yield
    except InUseError:
        raise InUseError(
            f'another run trains in {work_dir}: wait until it has ended, or choose '
            'another --work-dir'
        ) from None


def is_work_dir_in_use(work_dir: Path) -> bool:
    """Return whether a run trains in a work dir."""
    try:
        with locked_work_dir(work_dir):
            return False
    except InUseError:
        return True
