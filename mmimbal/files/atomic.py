"""Write files and folders atomically: they are complete, or they do not exist."""

import os
import re
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be removed or renamed anyway
    fcntl = None

UNFINISHED = re.compile(r'\.\d+-\d+\.unfinished$')  # of a process and a thread


def check_can_be_file(path: Path, *inputs: Path) -> None:
    """Refuse to write a file in the place of a folder or of an input.

    Args:
        path: The file.
        *inputs: Files that are read.

    Raises:
        IsADirectoryError: If ``path`` is a folder.
        NotADirectoryError: If a parent of it is a file.
        FileExistsError: If it is one of the inputs.
    """
    if path.is_dir():
        raise IsADirectoryError(
            f'{path} is a folder, but a file is to be written there: name a file, such '
            f'as {path / "FILE"}'
        )
    check_is_no_file(path.parent)
    if path.exists() and any(each.exists() and path.samefile(each) for each in inputs):
        raise FileExistsError(
            f'{path} is read, so the output cannot be written there: name another file'
        )


def check_is_no_file(path: Path) -> None:
    """Refuse to create a folder if its path, or a part of it, is a file.

    Raises:
        NotADirectoryError: If ``path``, or a parent of it, is not a folder.
    """
    for part in (path, *path.parents):
        if part.is_dir():
            return
        if part.exists() or part.is_symlink():
            raise NotADirectoryError(
                f'{part} is a file, but a folder is to be created there: name another '
                'folder, or move this file to another place'
            )


def check_is_new(path: Path) -> None:
    """Refuse to create a folder if it exists already and is not empty.

    Raises:
        NotADirectoryError: If ``path``, or a parent of it, is not a folder.
        FileExistsError: If ``path`` is a folder that is not empty.
    """
    check_is_no_file(path)
    if path.exists() and any(path.iterdir()):
        raise FileExistsError(
            f'{path} exists already and is not empty: name another folder, or move '
            'this one to another place'
        )


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file; at the end, it replaces ``path``.

    After an error, the old file at ``path`` is unchanged. The new file has the mode of
    the old one. If ``path`` is a symbolic link, its target is replaced. Devices and
    pipes, such as ``/dev/stdout``, are written directly.

    Raises:
        IsADirectoryError: If ``path`` is a folder; raised before anything is written.
        NotADirectoryError: If a parent of it is a file; raised then, too.
        OSError: If the file cannot be written, for example if the disk is full.
    """
    check_can_be_file(path)
    target = path.resolve() if path.is_symlink() else path
    if target.exists() and not target.is_file():
        yield target
        return
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
    with _path_in_errors(path), _unfinished(target, Path.touch) as unfinished:
        if mode is not None:  # from the start: others must not read what is private
            os.chmod(unfinished, mode | stat.S_IRUSR | stat.S_IWUSR)
        try:
            yield unfinished
            sync_to_disk(unfinished)
            if mode is not None:
                os.chmod(unfinished, mode)
            os.replace(unfinished, target)
            _sync_entries(target.parent)
        finally:
            unfinished.unlink(missing_ok=True)


def write_text(text: str, path: Path) -> None:
    """Write text in UTF-8, atomically; missing folders are created."""
    with atomic_write(path) as unfinished:
        unfinished.write_text(text, encoding='utf-8')


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder to fill; at the end, it is renamed to ``path``.

    If ``path`` is a symbolic link to an empty folder, that folder is replaced.

    Raises:
        NotADirectoryError: If ``path``, or a parent of it, is a file; raised before
            anything is written.
        FileExistsError: If ``path`` is a folder that is not empty; raised before
            anything is written.
        OSError: If a file cannot be written, for example if the disk is full.
    """
    check_is_new(path)
    target = path.resolve() if path.is_symlink() else path
    with _path_in_errors(path), _unfinished(target, Path.mkdir) as unfinished:
        try:
            yield unfinished
            sync_to_disk(unfinished)
            check_is_new(path)  # another process may have written it meanwhile
            os.rename(unfinished, target)
            _sync_entries(target.parent)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside a path; it is removed at the end.

    That of a killed process is removed by the next one with the same path.
    """
    with _unfinished(path, Path.mkdir) as folder:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove unfinished files in a folder whose writers were killed."""
    for path in folder.iterdir():
        if UNFINISHED.search(path.name):
            _remove_unless_locked(path)


def sync_to_disk(path: Path) -> None:
    """Wait until a file, or all files of a folder, are on the disk (fsync)."""
    for file in path.rglob('*') if path.is_dir() else [path]:
        if file.is_file():
            with open(file, 'rb') as opened:
                os.fsync(opened.fileno())


@contextmanager
def _path_in_errors(path: Path) -> Iterator[None]:
    """Add the path to system errors that do not name a file."""
    try:
        yield
    except OSError as error:
        if error.errno and not error.filename:
            error.filename = str(path)
        raise


@contextmanager
def _unfinished(target: Path, create: Callable[[Path], None]) -> Iterator[Path]:
    """Create a temporary file or folder next to a target; lock it until it is written.

    Temporary files of killed processes for the same target are removed first: they are
    not locked any more. Without ``fcntl`` they are not removed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # File names have at most 255 bytes.
    stem = os.fsdecode(os.fsencode(target.name)[:200])
    for leftover in target.parent.iterdir():
        rest = leftover.name.removeprefix(stem)
        if rest != leftover.name and UNFINISHED.fullmatch(rest):
            _remove_unless_locked(leftover)
    writer = f'{os.getpid()}-{threading.get_ident()}'
    unfinished = target.with_name(f'{stem}.{writer}.unfinished')
    create(unfinished)
    if fcntl is None:
        yield unfinished
        return
    descriptor = os.open(unfinished, os.O_RDONLY)
    try:
        while not _lock(descriptor, unfinished):  # another process has removed it
            os.close(descriptor)
            create(unfinished)
            descriptor = os.open(unfinished, os.O_RDONLY)
        yield unfinished
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> bool:
    """Lock an open file or folder; return whether it still exists at its path."""
    with suppress(OSError):  # file systems without locks
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
    """Wait until the file names of a folder are on the disk (fsync)."""
    with suppress(OSError):  # some systems cannot open folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
