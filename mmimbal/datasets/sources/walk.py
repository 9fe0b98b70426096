"""All files of a folder: images, and what is left out and why."""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mmimbal.datasets.sources.archive import is_system_file
from mmimbal.datasets.sources.dicom import is_dicom

# What OpenCV decodes; and DICOM, which is converted.
SUFFIXES = frozenset(
    f'.{name}'
    for name in (
        *('jpg', 'jpeg', 'jpe', 'jfif', 'jp2', 'png', 'bmp', 'dib', 'tif', 'tiff'),
        *('webp', 'gif', 'pgm', 'ppm', 'pbm', 'pnm', 'dcm', 'dicom'),
    )
)
OTHER_IMAGES = frozenset(
    f'.{name}' for name in ('heic', 'heif', 'avif', 'tga', 'ico', 'svg', 'psd', 'nii')
)
MADE_FROM = 'made_from.json'  # beside folds that were made of an index
# Of a prepared data set.
OWN_FILES = {'index.csv', 'dataset.json', 'check.json', 'class_counts.png', MADE_FROM}
CANNOT_DECODE = 'images that OpenCV cannot decode'
BROKEN_LINKS = 'broken links'
MASK_FOLDER = re.compile(
    r'(.*[ _-])?(masks?([ _-]?(\d+|images?|png|jpe?g|files?))?|segmentations?'
    r'|annotations?'
    r'|ground[ _-]?truths?|gt)',
    re.IGNORECASE,
)
PREVIEW_FOLDERS = frozenset(
    ('preview', 'previews', 'thumbnail', 'thumbnails', 'thumbs')
)
MASK_ENDING = re.compile(
    r'[ _.-](masks?[ _-]?(\d*|\(\d+\)|left|right)|seg|segmentation|gt|superpixels?'
    r'|anno|annotations?|overlay|roi|labels?)$',
    re.IGNORECASE,
)
MASK_START = re.compile(r'^(masks?|seg|gt)[ _-]+', re.IGNORECASE)
LABELS = frozenset(('label', 'labels'))
PREVIEW_ENDING = re.compile(r'[ _.-](preview|thumb|thumbnail)$', re.IGNORECASE)


def own_files(folder: Path) -> list[Path]:
    """Return the files that describe a prepared data set, whether or not it is one."""
    return [folder / name for name in sorted(OWN_FILES)]


def files_below(folder: Path) -> Iterator[PurePosixPath]:
    """Yield all files below a folder, sorted; linked folders are followed.

    Args:
        folder: The folder. Paths are relative to it.
    """
    yield from _files(folder, PurePosixPath(), {folder.resolve()})


def _files(
    folder: Path, below: PurePosixPath, ancestors: set[Path]
) -> Iterator[PurePosixPath]:
    for path in sorted(folder.iterdir()):
        check_file_name(path)
        if not path.is_dir():
            yield below / path.name
        elif path.resolve() not in ancestors:  # a link to a folder above has no end
            yield from _files(path, below / path.name, {*ancestors, path.resolve()})


def check_file_name(path: Path) -> None:
    """Raise a ValueError if a CSV file in UTF-8 cannot name a file in a row."""
    try:
        path.name.encode()
    except UnicodeEncodeError:
        raise ValueError(
            f'the name of a file in {path.parent} is not UTF-8: {path.name!a}. '
            'Rename it, for example with convmv'
        ) from None
    if '\n' in path.name or '\r' in path.name:
        raise ValueError(
            f'the name of a file in {path.parent} has a line break: {path.name!r}. '
            'Rename it'
        )


def reason_to_leave_out(
    folder: Path, file: PurePosixPath, names: set[PurePosixPath], class_depth: int
) -> str | None:
    """Return why a file is not an image of the data set; ``None`` if it is one.

    Args:
        folder: The folder of the data set.
        file: The file, relative to it.
        names: All files without their suffixes.
        class_depth: Number of the first parts of the path that name split and class:
            a class may be called ``mask``.
    """
    suffix = file.suffix.lower()
    inside = {part.lower() for part in file.parts[class_depth:-1]}
    if any(map(is_system_file, file.parts)):
        return 'files of the system'
    if not (folder / file).is_file():
        return BROKEN_LINKS
    if suffix in OTHER_IMAGES:
        return f'{CANNOT_DECODE} ({suffix})'
    if suffix not in SUFFIXES and not is_dicom(folder / file):
        return f'files that are no images ({suffix or "no suffix"})'
    if (
        any(map(MASK_FOLDER.fullmatch, inside))
        or _belongs_to_another(file, names, MASK_ENDING)
        or _belongs_to_another(file, names, MASK_START)
        or (inside & LABELS and _is_beside_images(folder, file, class_depth))
    ):
        return 'masks'
    if inside & PREVIEW_FOLDERS or _belongs_to_another(file, names, PREVIEW_ENDING):
        return 'previews'
    return None


def _is_beside_images(folder: Path, file: PurePosixPath, class_depth: int) -> bool:
    """Return whether a folder of labels has a folder ``images`` as neighbour."""
    return any(
        part.lower() in LABELS
        and (folder.joinpath(*file.parts[:depth]) / 'images').is_dir()
        for depth, part in enumerate(file.parts[:-1])
        if depth >= class_depth
    )


def _belongs_to_another(
    file: PurePosixPath, names: set[PurePosixPath], ending: re.Pattern
) -> bool:
    """Return whether there is an image of this name without an ending or a start."""
    name = file.with_suffix('')
    without = ending.sub('', name.name)
    return without not in ('', name.name) and name.with_name(without) in names
