"""Atomic writes: a file or folder is whole or not there, whatever stops the process."""

import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, which lets nobody remove or rename an open file
    fcntl = None

UNFINISHED = '.unfinished'


def check_is_no_folder(path: Path) -> None:
    """Refuse to write a file where a folder stands.

    Raises:
        IsADirectoryError: If ``path`` is a folder.
    """
    if path.is_dir():
        raise IsADirectoryError(
            f'{path} is a folder, but a file is to be written there: name a file, such '
            f'as {path / "FILE"}'
        )


def check_is_no_file(path: Path) -> None:
    """Refuse to make a folder where something else stands.

    Raises:
        NotADirectoryError: If ``path``, or a parent of it, is not a folder.
    """
    for part in (path, *path.parents):
        if part.is_dir():
            return
        if part.exists() or part.is_symlink():
            raise NotADirectoryError(
                f'{part} is a file, but a folder is to be made there: name another '
                'folder, or move that file away'
            )


def check_is_new(path: Path) -> None:
    """Refuse to make a folder where something is already.

    Raises:
        NotADirectoryError: If ``path``, or a parent of it, is not a folder.
        FileExistsError: If ``path`` is a folder that is not empty.
    """
    check_is_no_file(path)
    if path.exists() and any(path.iterdir()):
        raise FileExistsError(
            f'{path} exists already and is not empty: name another folder, or move '
            'that one away'
        )


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give the path of a temporary file to write; it takes the place of ``path``.

    If anything fails, what was at ``path`` before is kept. An existing file keeps its
    mode. Of a link, the file that it points to is replaced. Devices and pipes, such
    as ``/dev/stdout``, are written to directly.

    Raises:
        IsADirectoryError: If ``path`` is a folder; before anything is written.
        OSError: If it cannot be written, such as to a full disk.
    """
    check_is_no_folder(path)
    target = path.resolve() if path.is_symlink() else path
    if target.exists() and not target.is_file():
        yield target
        return
    with _naming(path), _unfinished(target, Path.touch) as unfinished:
        if target.exists():
            os.chmod(unfinished, stat.S_IMODE(target.stat().st_mode))
        try:
            yield unfinished
            sync_to_disk(unfinished)
            os.replace(unfinished, target)
            _sync_entries(target.parent)
        finally:
            unfinished.unlink(missing_ok=True)


def write_text(text: str, path: Path) -> None:
    """Write text in UTF-8; see :func:`atomic_write`. Folders are made if need be."""
    with atomic_write(path) as unfinished:
        unfinished.write_text(text, encoding='utf-8')


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder to fill; it is renamed to ``path`` at the end.

    Raises:
        NotADirectoryError: If ``path``, or a parent of it, is a file.
        FileExistsError: If ``path`` is a folder that is not empty. Both before anything
            is written.
        OSError: If it cannot be written, such as to a full disk.
    """
    check_is_new(path)
    with _naming(path), _unfinished(path, Path.mkdir) as unfinished:
        try:
            yield unfinished
            sync_to_disk(unfinished)
            os.rename(unfinished, path)
            _sync_entries(path.parent)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


def sync_to_disk(path: Path) -> None:
    """Wait until a file, or the files of a folder, outlast a power cut."""
    for file in path.rglob('*') if path.is_dir() else [path]:
        if file.is_file():
            with open(file, 'rb') as opened:
                os.fsync(opened.fileno())


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the path in a system error that does not."""
    try:
        yield
    except OSError as error:
        if error.errno and not error.filename:
            error.filename = str(path)
        raise


@contextmanager
def _unfinished(target: Path, create: Callable[[Path], None]) -> Iterator[Path]:
    """Create something unfinished beside a target, and lock it while it is written.

    What a killed writer of the same target has left there is removed first: the lock
    of a process is gone with it. Without ``fcntl``, such leftovers stay.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # A name has at most 255 bytes.
    stem = os.fsdecode(os.fsencode(target.name)[:200])
    for leftover in target.parent.iterdir():
        if leftover.name.startswith(f'{stem}.') and leftover.suffix == UNFINISHED:
            _remove_unless_locked(leftover)
    writer = f'{os.getpid()}-{threading.get_ident()}'
    unfinished = target.with_name(f'{stem}.{writer}{UNFINISHED}')
    create(unfinished)
    if fcntl is None:
        yield unfinished
        return
    descriptor = os.open(unfinished, os.O_RDONLY)
    try:
        while not _lock(descriptor, unfinished):  # another writer has removed it
            os.close(descriptor)
            create(unfinished)
            descriptor = os.open(unfinished, os.O_RDONLY)
        yield unfinished
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> bool:
    """Lock an open file or folder; return whether it is still at its path."""
    with suppress(OSError):  # a file system without locks
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return path.exists() and os.path.samestat(path.stat(), os.fstat(descriptor))


def _remove_unless_locked(path: Path) -> None:
    if fcntl is None:
        return
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        finally:
            os.close(descriptor)


def _sync_entries(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    with suppress(OSError):  # some systems open no folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
