"""Properties of image files that a dataset check needs."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from imagehash import phash
from joblib import cpu_count
from PIL import Image
from tqdm import tqdm

ORIENTATION = 274  # the EXIF tag


@dataclass(frozen=True)
class ImageFacts:
    """Properties of one image file.

    Attributes:
        error: Reason why it cannot be decoded. The other attributes are then empty.
        pixels: Hash of the decoded pixels.
        bits: Perceptual hash, 64 bits.
        size: Width and height in pixels.
        mode: Image mode of PIL: ``'RGB'``, ``'L'``, ...
        is_rotated: Whether EXIF holds a rotation or a flip.
    """

    error: str = ''
    pixels: str = ''
    bits: np.ndarray | None = None
    size: tuple[int, int] = (0, 0)
    mode: str = ''
    is_rotated: bool = False


def read_image_facts(
    root: Path, files: Sequence[str], missing: set[str], processes: int | None = None
) -> Iterator[ImageFacts]:
    """Decode all images in parallel, and yield their properties in order."""
    paths = [root / file if file not in missing else None for file in files]
    with ProcessPoolExecutor(processes or cpu_count()) as pool:
        yield from tqdm(
            pool.map(read_facts_of, paths, chunksize=64),
            'Images',
            len(paths),
            unit=' images',
            disable=None,
        )


def read_facts_of(path: Path | None) -> ImageFacts:
    """Decode one image, and return its properties; ``None`` is a missing image."""
    if path is None:
        return ImageFacts(error='missing')
    try:
        with Image.open(path) as image:
            image.load()
            pixels = hashlib.blake2b(image.tobytes(), digest_size=16)
            pixels.update(repr((image.size, image.mode)).encode())
            return ImageFacts(
                pixels=pixels.hexdigest(),
                bits=np.packbits(phash(image.convert('L')).hash),
                size=image.size,
                mode=image.mode,
                is_rotated=image.getexif().get(ORIENTATION, 1) != 1,
            )
    except Exception as error:  # decoders raise errors of any type
        return ImageFacts(error=f'{type(error).__name__}: {error}')
