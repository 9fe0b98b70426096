"""What is seen of one image file."""

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
class Facts:
    """What is seen of one image.

    Attributes:
        error: Why it cannot be decoded; the rest is empty then.
        pixels: Hash of the decoded pixels.
        bits: Perceptual hash, 64 bits.
        size: Width and height, pixels.
        kind: Mode of the file in PIL's terms, such as ``'RGB'``.
        turned: Whether EXIF says that it is to be turned.
    """

    error: str = ''
    pixels: str = ''
    bits: np.ndarray | None = None
    size: tuple[int, int] = (0, 0)
    kind: str = ''
    turned: bool = False


def look(
    root: Path, files: Sequence[str], missing: set[str], processes: int | None = None
) -> Iterator[Facts]:
    """Decode all images on all cores; yield what is seen, in order."""
    paths = [root / file if file not in missing else None for file in files]
    with ProcessPoolExecutor(processes or cpu_count()) as pool:
        yield from tqdm(
            pool.map(look_at, paths, chunksize=64),
            'Images',
            len(paths),
            unit=' images',
            disable=None,
        )


def look_at(path: Path | None) -> Facts:
    """Return what is seen of an image; of ``None``, that it is missing."""
    if path is None:
        return Facts(error='missing')
    try:
        with Image.open(path) as image:
            image.load()
            pixels = hashlib.blake2b(image.tobytes(), digest_size=16)
            pixels.update(repr((image.size, image.mode)).encode())
            return Facts(
                pixels=pixels.hexdigest(),
                bits=np.packbits(phash(image.convert('L')).hash),
                size=image.size,
                kind=image.mode,
                turned=image.getexif().get(ORIENTATION, 1) != 1,
            )
    except Exception as error:  # decoders raise whatever they like
        return Facts(error=f'{type(error).__name__}: {error}')
