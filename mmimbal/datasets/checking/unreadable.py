"""Reasons why training cannot read an image, and what to do."""

from pathlib import Path

import cv2

from mmimbal.datasets.image_header import read_header
from mmimbal.datasets.image_values import (
    how_to_map,
    number,
    range_of,
    read_unchanged,
)
from mmimbal.datasets.sources.dicom import is_dicom

MAX_PIXELS = 2**30  # of OpenCV


def why_unreadable(path: Path) -> str:
    """Return the reason why training cannot decode a file."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return f'{type(error).__name__}: {error}'
    if not content:
        return 'the file is empty'
    if is_dicom(path):
        return 'a DICOM file: tools/prepare_dataset.py makes it a PNG file'
    header = read_header(content)
    width, height = header.size
    if width * height > MAX_PIXELS:
        return (
            f'{width} x {height} pixels: OpenCV, which training uses, reads at most '
            f'{MAX_PIXELS:,}. Cut it into tiles, or make it smaller'
        )
    stored = read_unchanged(content)
    if stored is not None:
        low, high = range_of(stored)
        return (
            f'{stored.dtype} values from {number(low)} to {number(high)}: '
            f'{how_to_map(str(stored.dtype), low, high)}'
        )
    if cv2.haveImageReader(str(path)):
        return 'damaged, or cut off'
    if not header.format:
        return 'no image that OpenCV, which training uses, can read'
    return (
        f'OpenCV, which training uses, does not read {header.format} files: save it as '
        'PNG'
    )
