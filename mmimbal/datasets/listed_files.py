"""The image files that an ``index.csv`` lists: where they are, and whether."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc


def check_paths(table: pa.Table, index: Path) -> None:
    """Raise a ValueError if a path is absolute or leaves the folder of the CSV."""
    files = table['file']
    suspicious = pc.or_(pc.starts_with(files, '/'), pc.match_substring(files, '..'))
    for file in files.filter(suspicious).to_pylist():
        path = PurePosixPath(file)
        if path.is_absolute() or '..' in path.parts:
            raise ValueError(
                f'{index} lists {file!r}, outside its own folder: use a relative path'
            )


def check_files(table: pa.Table, index: Path) -> None:
    """Check that every image exists.

    Raises:
        FileNotFoundError: If an image is missing.
    """
    missing = missing_files(table, index)
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of the {len(table)} images that {index} lists are '
            f'missing, the first is {index.parent / missing[0]}. Copy them there, or '
            'prepare the data set again'
        )


def missing_files(table: pa.Table, index: Path) -> list[str]:
    """Return the files that do not exist. Each folder is read only once."""
    files = table['file']
    folders = pc.unique(pc.replace_substring_regex(files, '[^/]*$', '')).to_pylist()
    existing = [
        f'{folder}{name}'
        for folder in folders
        if (index.parent / folder).is_dir()
        for name in _files_in(index.parent / folder)
    ]
    exists = pc.is_in(files, value_set=pa.array(existing, pa.string()))
    return files.filter(pc.invert(exists)).to_pylist()


def _files_in(folder: Path) -> Iterator[str]:
    """Yield the names in a folder, but for links that lead nowhere."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_symlink() or os.path.exists(entry.path):
                yield entry.name
