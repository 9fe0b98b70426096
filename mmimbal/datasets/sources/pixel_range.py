"""Read images of more than 8 bits: a range of their values becomes 0 to 255."""

from pathlib import Path

import cv2
import numpy as np

MOST = np.iinfo(np.uint8).max  # a range above it is for images of more than 8 bits


def read_in_range(path: Path, low: float, high: float) -> np.ndarray:
    """Read an image, and map the values ``low`` to ``high`` to 0 to 255.

    Values below ``low`` become 0, and values above ``high`` 255. As in training, a
    rotation in EXIF is applied, and transparency is left out. An image of 8 bits stays
    as it is if ``high`` is above 255: the range is that of the other images.

    Args:
        path: An image file of 8, 16, 32 or 64 bits, with integers or floats.
        low: The value that becomes 0.
        high: The value that becomes 255.

    Returns:
        The image in BGR, (H, W, 3), uint8.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If ``low`` is not below ``high``, or the file is no image that
            OpenCV can decode, or holds NaN.
    """
    check_range(low, high)
    values = read_values(path)
    if np.isnan(values).any():
        raise ValueError(
            f'{path} holds NaN in {np.isnan(values).sum()} of {values.size} values: '
            'replace them by a number, or leave out this image'
        )
    is_shown = values.dtype == np.uint8 and high > MOST
    pixels = values if is_shown else to_8_bits(values, low, high)
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)


def check_range(low: float, high: float) -> None:
    """Raise a ValueError if two numbers are no range."""
    if not (np.isfinite([low, high]).all() and low < high):
        raise ValueError(
            f'the range is {low:g} to {high:g}: give two finite numbers, the lower one '
            'first'
        )


def read_values(path: Path) -> np.ndarray:
    """Read the values of an image as they are stored, without transparency.

    Returns:
        Gray values, (H, W), or colours in BGR, (H, W, 3), of the type of the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no image that OpenCV can decode.
    """
    content = np.frombuffer(path.read_bytes(), np.uint8)
    # Not IMREAD_UNCHANGED, which ignores a rotation in EXIF.
    flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR
    values = cv2.imdecode(content, flags) if len(content) else None
    if values is None:
        raise ValueError(
            f'{path} cannot be decoded by OpenCV: it is damaged, or in a format that '
            'OpenCV does not read. Save it as PNG or TIFF'
        )
    return values


def to_8_bits(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map ``low`` to ``high`` to 0 to 255; clip and round; return uint8."""
    scaled = (values.astype(np.float64) - low) / (high - low)
    return np.rint(255 * np.clip(scaled, 0, 1)).astype(np.uint8)
