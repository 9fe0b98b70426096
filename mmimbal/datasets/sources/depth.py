"""Whether images have 8 bits a channel or more."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np

from mmimbal.datasets.image_header import JPEG, PNG
from mmimbal.datasets.image_values import IHDR_BITS
from mmimbal.datasets.sources.dicom import is_dicom
from mmimbal.datasets.sources.pixel_range import MOST, check_range, read_values


def check_one_depth(paths: Iterable[Path], low: float, high: float) -> None:
    """Raise a ValueError if a range would be that of images of 8 bits and of others.

    Args:
        paths: The images. Passed over are those of DICOM files, whose depth is known,
            and those that cannot be read: whoever reads them says so.
        low: The value that becomes 0.
        high: The value that becomes 255. Above 255, it is not for images of 8 bits.
    """
    first: dict[bool, Path] = {}
    check_range(low, high)
    for path in paths if high <= MOST else ():
        with suppress(OSError, ValueError):
            if not is_dicom(path):
                first.setdefault(has_8_bits(path), path)
        if len(first) == 2:
            raise ValueError(
                f'--range {low:g} {high:g} would be for all images, but {first[True]} '
                f'has 8 bits, and {first[False]} has more: bring each kind to 8 bits '
                'in a folder of its own, then join the folders'
            )


def has_8_bits(path: Path) -> bool:
    """Return whether an image has at most 8 bits a channel."""
    with open(path, 'rb') as file:
        start = file.read(IHDR_BITS + 1)
    if start.startswith(JPEG):
        return True
    if start.startswith(PNG) and len(start) > IHDR_BITS:
        return start[IHDR_BITS] <= 8
    return read_values(path).dtype == np.uint8
