"""Files and folders that are whole or not there, whatever stops the process."""

import fcntl
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give another name to write a file or a folder under; rename it at the end.

    What was there before is replaced, or kept if anything fails.

    Raises:
        OSError: If it cannot be written, such as to a full disk.
    """
    writer = f'{os.getpid()}-{threading.get_ident()}'
    unfinished = path.with_name(f'{path.name}.{writer}.unfinished')
    try:
        yield unfinished
        bring_to_disk(unfinished)
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(unfinished, path)
        _sync_entry(path.parent)
    except OSError as error:
        if error.errno and not error.filename:
            error.filename = str(path)
        raise
    finally:
        if unfinished.is_dir():
            shutil.rmtree(unfinished, ignore_errors=True)
        else:
            unfinished.unlink(missing_ok=True)


@contextmanager
def alone(path: Path) -> Iterator[int]:
    """Let one process at a time be here for a path; others wait.

    The lock is gone with the process, however it ends, and with those it has passed
    the file descriptor to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_name(f'{path.name}.lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def bring_to_disk(path: Path) -> None:
    """Wait until a file, or the files of a folder, outlast a power cut."""
    for file in path.rglob('*') if path.is_dir() else [path]:
        with open(file, 'rb') as opened:
            os.fsync(opened.fileno())


def _sync_entry(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
