"""Datasets with one folder per class."""

from pathlib import Path

from mmimbal.datasets.sources.archive import is_system_file
from mmimbal.datasets.sources.source import Image, Source

SUFFIXES = {'.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp'}
SPLITS = {'train': 'train', 'val': 'val', 'valid': 'val', 'test': 'test'}
SPLITS |= {'validation': 'val'}


def read_folders(
    src: Path, origin: str = 'unknown', licence: str = 'unknown'
) -> Source:
    """Read ``CLASS/**/*.jpg``, or ``train/CLASS``, ``val/CLASS``, ``test/CLASS``.

    Classes are the sorted names of the folders. Other files are ignored.

    Args:
        src: The folder that holds the class folders, directly or in one folder.
        origin: Source of the images.
        licence: Licence of the images.

    Raises:
        FileNotFoundError: If there are no folders with images.
    """
    folders = _folders(src)
    while len(folders) == 1 and _folders(folders[0]):
        src, folders = folders[0], _folders(folders[0])
    has_splits = bool(folders) and {f.name.lower() for f in folders} <= SPLITS.keys()
    parts = (
        [(SPLITS[f.name.lower()], f) for f in folders] if has_splits else [(None, src)]
    )
    images = [
        Image(
            path=path,
            label=folder.name,
            split=split,
            name=path.relative_to(src).as_posix(),
        )
        for split, part in parts
        for folder in _folders(part)
        for path in sorted(folder.rglob('*'))
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(map(is_system_file, path.relative_to(folder).parts))
    ]
    if not images:
        raise FileNotFoundError(
            f'{src} has no folders with images. Expected in --src: one folder of '
            'images per class'
        )
    classes = tuple(sorted({image.label for image in images}))
    return Source(images, classes, origin, licence)


def read_kvasir(src: Path) -> Source:
    """Read Kvasir v2 (https://datasets.simula.no/kvasir/): 8 folders of images.

    Written from its documentation, not tried on the download.
    """
    origin = 'Pogorelov et al. 2017, doi:10.1145/3083187.3083212'
    return read_folders(src, origin, 'research and education only')


def read_pbc(src: Path) -> Source:
    """Read the PBC blood cells (doi:10.17632/snkd93bnjr.1): 8 folders of images.

    Written from its documentation, not tried on the download.
    """
    return read_folders(
        src, 'Acevedo et al. 2020, doi:10.17632/snkd93bnjr.1', 'CC BY 4.0'
    )


def _folders(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return sorted(
        f for f in path.iterdir() if f.is_dir() and not is_system_file(f.name)
    )
