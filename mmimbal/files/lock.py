"""Locks, so that only one process works in a place."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


class InUseError(OSError):
    """Another process holds the lock."""


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a path, which only one process can hold at a time.

    The lock is a file next to the path. It is released when the process ends, even if
    the process is killed. Child processes do not hold it.

    Args:
        path: File or folder to lock.
        wait: Whether to wait until another process releases the lock.

    Raises:
        InUseError: If another process holds the lock and ``wait`` is false.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(_lock_file(path))
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        raise InUseError(
            f'another process is using {path}: wait until it has ended'
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def locked_once(path: Path) -> Iterator[None]:
    """Hold the lock of a path that is written once, and leave no file of the lock.

    Raises:
        InUseError: If another process holds the lock.
    """
    with locked(path, wait=False):
        try:
            yield
        finally:
            _lock_file(path).unlink(missing_ok=True)


def is_locked(path: Path) -> bool:
    """Return whether another process holds the lock of a path."""
    if not _lock_file(path).is_file():
        return False
    try:
        with locked(path, wait=False):
            return False
    except InUseError:
        return True


def _lock_file(path: Path) -> Path:
    return path.with_name(f'{path.name}.lock')


@contextmanager
def locked_work_dir(work_dir: Path) -> Iterator[None]:
    """Lock a work dir, so that only one run trains in it.

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
    return is_locked(work_dir / 'train')
