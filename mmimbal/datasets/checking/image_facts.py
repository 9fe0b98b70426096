"""Properties of image files that a dataset check needs."""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from imagehash import phash
from joblib import cpu_count
from mmcv.transforms import LoadImageFromFile
from PIL import Image
from tqdm import tqdm

from mmimbal.datasets.checking.unreadable import why_unreadable
from mmimbal.datasets.image_header import Header, is_cut_jpeg, read_header
from mmimbal.datasets.image_values import Values, values_of

_errors: BinaryIO | None = None  # of this process, see _prepare
# What the decoders print.
DAMAGE = r'Corrupt JPEG data: (.*)|(Premature end of JPEG.*)|TIFF_Error .*: ([^:\n]*)'
LOADER = LoadImageFromFile()  # with its defaults: as in the pipelines


@dataclass(frozen=True)
class ImageFacts:
    """Properties of one image file.

    Attributes:
        error: Reason why training cannot decode it. The others are then empty.
        pixels: Hash of the pixels, as training decodes them.
        bits: Perceptual hash of these pixels, 64 bits.
        size: Width and height of these pixels.
        values: The values in the file, and what training makes of them.
        header: What only the header of the file says.
        is_cut: Whether it is a JPEG file without an end.
        damage: What the decoder says of a JPEG or TIFF file with wrong parts.
    """

    error: str = ''
    pixels: str = ''
    bits: np.ndarray | None = None
    size: tuple[int, int] = (0, 0)
    values: Values = field(default_factory=Values)
    header: Header = field(default_factory=Header)
    is_cut: bool = False
    damage: str = ''


def read_image_facts(
    root: Path, files: Sequence[str], missing: set[str], processes: int | None = None
) -> Iterator[ImageFacts]:
    """Decode all images in parallel, and yield their properties in order."""
    paths = [root / file if file not in missing else None for file in files]
    try:
        with ProcessPoolExecutor(
            processes or cpu_count(), initializer=_prepare
        ) as pool:
            yield from tqdm(
                pool.map(read_facts_of, paths, chunksize=64),
                'Images',
                len(paths),
                unit=' images',
                disable=None,
            )
    except BrokenProcessPool:
        raise OSError(
            'a process that decodes images was killed, probably because the memory is '
            'full: are some images very large? --processes 1 needs the least'
        ) from None


def read_facts_of(path: Path | None) -> ImageFacts:
    """Decode one image, and return its properties; ``None`` is a missing image."""
    if path is None:
        return ImageFacts(error='missing')
    _said_by_the_decoder()  # of the image before, which is decoded twice
    try:
        image = LOADER.transform(dict(img_path=str(path)))['img']
    except Exception:  # decoders raise errors of any type
        return ImageFacts(error=why_unreadable(path))
    damage = _said_by_the_decoder()
    content = path.read_bytes()
    pixels = hashlib.blake2b(np.ascontiguousarray(image), digest_size=16)
    pixels.update(repr(image.shape).encode())
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return ImageFacts(
        pixels=pixels.hexdigest(),
        bits=np.packbits(phash(Image.fromarray(gray)).hash),
        size=(image.shape[1], image.shape[0]),
        values=values_of(content, image),
        header=read_header(content),
        is_cut=is_cut_jpeg(content),
        damage=damage,
    )


def _prepare() -> None:
    """Set up a process: one thread, and errors are reported by the check alone.

    libjpeg and OpenCV's reader of TIFF go on after an error, and only print it: it is
    read from a file.
    """
    global _errors
    with suppress(OSError):  # no folder for temporary files
        _errors = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        os.dup2(_errors.fileno(), 2)
    cv2.setNumThreads(0)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)


def _said_by_the_decoder() -> str:
    """Return what a decoder has printed since the last call about a damaged file."""
    if _errors is None:
        return ''
    _errors.seek(0)
    said = _errors.read().decode(errors='replace')
    _errors.seek(0)
    _errors.truncate()
    found = re.search(DAMAGE, said)
    return next(filter(None, found.groups())) if found else ''
