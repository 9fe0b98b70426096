"""Safe unpacking of downloaded archives."""

import tarfile
import zipfile
from pathlib import Path, PurePosixPath


def unpack(archive: Path, target: Path) -> Path:
    """Unpack a zip or tar file.

    Args:
        archive: The file.
        target: An empty folder.

    Returns:
        ``target``, or the folder in it if that is its only content.

    Raises:
        ValueError: If it is not an archive or is broken, or a member would be written
            outside of ``target``. Nothing is then written outside.
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
        raise ValueError(f'{archive} is refused as unsafe: {error}') from None
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f'{archive} is broken, load it again: {error}') from None
    content = [path for path in target.iterdir() if not is_system_file(path.name)]
    return content[0] if len(content) == 1 and content[0].is_dir() else target


def is_system_file(name: str) -> bool:
    """Return whether a name is hidden or made by macOS: not part of a dataset."""
    return name.startswith('.') or name == '__MACOSX'


def _refuse_outside(name: str, archive: Path) -> None:
    path = PurePosixPath(name.replace('\\', '/'))
    if path.is_absolute() or '..' in path.parts or ':' in path.parts[0]:
        raise ValueError(f'{archive} is refused as unsafe: {name!r} leaves its folder')
