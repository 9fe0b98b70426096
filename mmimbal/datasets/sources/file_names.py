"""Names of the images of a prepared data set."""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from mmimbal.datasets.sources.source import Image


def file_names(images: Sequence[Image]) -> list[str]:
    """Return the path of each image below ``images/``.

    Raises:
        ValueError: If it would be outside of it, or two images have the same path.
    """
    # As a path: './a.png' is 'a.png'.
    names = [str(PurePosixPath(image.name or image.path.name)) for image in images]
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or '..' in path.parts:
            raise ValueError(f'{name!r} would be written outside of the data set')
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        pairs = zip(images, names, strict=True)
        paths = {str(image.path) for image, name in pairs if name == repeated[0]}
        raise ValueError(
            f'{len(repeated)} images are listed twice, the first is {repeated[0]}: '
            'remove one of the lines'
            if len(paths) == 1
            else f'{" and ".join(sorted(paths))} would both be written as '
            f'{repeated[0]}: rename one of them, or leave it out'
        )
    return names


def check_names(images: Sequence[Image], names: Sequence[str]) -> None:
    """Raise a ValueError if a name, class or group has a line break."""
    for image, name in zip(images, names, strict=True):
        for text in (name, image.label, image.group or ''):
            if '\n' in text or '\r' in text:
                raise ValueError(
                    f'{text!r} ({image.path.name!r}) has a line break: rename it'
                )
