"""The values in an image file, and what training makes of them."""

from dataclasses import dataclass

import cv2
import numpy as np

from mmimbal.datasets.image_header import JPEG, PNG

IHDR_BITS, IHDR_COLOURS = 24, 25  # offsets in a PNG file
WITHOUT_ALPHA = (0, 2, 3)  # kinds of colours in IHDR


@dataclass(frozen=True)
class Values:
    """The values of an image.

    Attributes:
        type: Type of the values in the file: ``'uint8'``, ``'uint16'``, ...
        low: The lowest value in the file.
        high: The highest value in the file.
        shown_low: The lowest value in training, 0 to 255.
        shown_high: The highest value in training, 0 to 255.
        shown_mean: The mean in training, 0 to 255.
        is_transparent: Whether a pixel is transparent, at least partly.
    """

    type: str = 'uint8'
    low: float = 0
    high: float = 0
    shown_low: int = 0
    shown_high: int = 0
    shown_mean: float = 0
    is_transparent: bool = False


def values_of(content: bytes, decoded: np.ndarray) -> Values:
    """Return the values of an image.

    Args:
        content: The file.
        decoded: The image as training decodes it, (H, W, 3), uint8.
    """
    stored = decoded if is_plain(content) else read_unchanged(content)
    if stored is None:
        stored = decoded
    shown_low, shown_high = range_of(decoded)
    low, high = (shown_low, shown_high) if stored is decoded else range_of(stored)
    return Values(
        str(stored.dtype),
        low,
        high,
        int(shown_low),
        int(shown_high),
        float(np.mean(cv2.mean(decoded)[:3])),
        _is_transparent(stored),
    )


def read_unchanged(content: bytes) -> np.ndarray | None:
    """Return the stored values with transparency, ``None`` if OpenCV cannot."""
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None


def range_of(stored: np.ndarray) -> tuple[float, float]:
    """Return the lowest and the highest finite value, without transparency."""
    if stored.dtype == np.uint8 and stored.shape[2:] != (4,):
        return cv2.minMaxLoc(stored.ravel())[:2]  # much faster
    values = stored[..., :3] if stored.ndim == 3 else stored
    if values.dtype.kind == 'f':
        values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 0.0
    return float(values.min()), float(values.max())


def how_to_map(kind: str, low: float, high: float) -> str:
    """Return the command that maps values of a type to 8 bits."""
    if kind.startswith('float') and low >= 0 and high <= 1:
        low, high = 0, 1
    return (
        f'tools/prepare_dataset.py ... --range {number(low)} {number(high)} maps them '
        'to 8 bits'
    )


def number(value: float) -> str:
    """Return a number as text, without decimals if it has none."""
    return str(int(value)) if float(value).is_integer() else f'{value:.4g}'


def is_plain(content: bytes) -> bool:
    """Return whether a file holds 8 bits and no transparency, as JPEG does.

    Training then decodes its very values: they need not be decoded once more.
    """
    if content.startswith(PNG):
        return (
            content[IHDR_BITS] <= 8
            and content[IHDR_COLOURS] in WITHOUT_ALPHA
            and b'tRNS' not in content[: content.find(b'IDAT')]
        )
    return content.startswith(JPEG)


def _is_transparent(stored: np.ndarray) -> bool:
    if stored.ndim < 3 or stored.shape[2] < 4:
        return False
    full = np.iinfo(stored.dtype).max if stored.dtype.kind in 'iu' else 1
    return bool((stored[..., 3] < full).any())
