"""What only the header of an image file says, read by Pillow.

Whether training can read the file is never decided here.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import Image

ORIENTATION = 274  # the EXIF tag
ROTATED = range(2, 9)  # its values; 0 says nothing
JPEG = b'\xff\xd8'
PNG = b'\x89PNG\r\n\x1a\n'


@dataclass(frozen=True)
class Header:
    """The header of an image file. The defaults are those of an unknown format.

    Attributes:
        format: Format of PIL: ``'PNG'``, ``'TIFF'``, ...
        mode: Image mode of PIL: ``'RGB'``, ``'L'``, ...
        is_rotated: Whether EXIF holds a rotation or a flip.
        frames: Number of pages of a TIFF file, or frames of an animation.
        size: Width and height.
    """

    format: str = ''
    mode: str = ''
    is_rotated: bool = False
    frames: int = 1
    size: tuple[int, int] = (0, 0)


def read_header(content: bytes) -> Header:
    """Read the header of a file; pixels are not decoded."""
    try:
        with warnings.catch_warnings(), _images_of_any_size():
            warnings.simplefilter('ignore')  # about odd metadata
            with Image.open(io.BytesIO(content)) as image:
                return Header(
                    image.format or '',
                    image.mode,
                    _orientation(image, content) in ROTATED,
                    # The second picture of MPO, of phones, is a preview.
                    1 if image.format == 'MPO' else getattr(image, 'n_frames', 1),
                    image.size,
                )
    except Exception:  # of any type; Pillow may not know what OpenCV reads
        return Header()


@contextmanager
def _images_of_any_size() -> Iterator[None]:
    """Let Pillow open large images, too; it does not decode their pixels here."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _orientation(image: Image.Image, content: bytes) -> int:
    if content.startswith(PNG) and b'eXIf' not in content:
        return 1  # Pillow would decode all pixels to look for it behind them
    return image.getexif().get(ORIENTATION, 1)


def is_cut_jpeg(content: bytes) -> bool:
    """Return whether a JPEG file has no end (EOI) after its last scan (SOS).

    Some versions of OpenCV decode it, with gray in place of what is missing.
    """
    last_scan, end = content.rfind(b'\xff\xda'), content.rfind(b'\xff\xd9')
    return content.startswith(JPEG) and end < last_scan
