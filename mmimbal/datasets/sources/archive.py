"""Unpacking a download without letting it write elsewhere."""

import tarfile
import zipfile
from pathlib import Path, PurePosixPath


def unpack(archive: Path, target: Path) -> Path:
    """Unpack a zip or tar file.

    Args:
        archive: The file.
        target: An empty folder.

    Returns:
        The folder of the content: ``target``, or the only folder in it.

    Raises:
        ValueError: If it is no archive or broken, or a member would leave the folder.
            Nothing of such an archive is kept outside of ``target``.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as file:
                for name in file.namelist():
                    _refuse_outside(name, archive)
                file.extractall(target)
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as file:
                file.extractall(target, filter='data')
        else:
            raise ValueError(f'{archive} is neither a folder nor a zip or tar file')
    except tarfile.FilterError as error:
        raise ValueError(f'{archive} is refused: {error}') from None
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f'{archive} is broken: {error}') from None
    inside = [path for path in target.iterdir() if not is_litter(path.name)]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else target


def is_litter(name: str) -> bool:
    """Return whether a file or folder is one that systems leave behind, hidden."""
    return name.startswith('.') or name == '__MACOSX'


def _refuse_outside(name: str, archive: Path) -> None:
    path = PurePosixPath(name.replace('\\', '/'))
    if path.is_absolute() or '..' in path.parts or ':' in path.parts[0]:
        raise ValueError(f'{archive} is refused: {name!r} would leave its folder')
