"""A cache of decoded images for all workers and epochs."""

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile

import mmcv.transforms as mmcv
import mmpretrain.datasets as mmpretrain
import numpy as np
from joblib import cpu_count
from mmcv.transforms import BaseTransform
from mmengine.dist import is_main_process
from mmengine.logging import print_log
from tqdm import tqdm

from mmimbal.files.atomic import atomic_folder
from mmimbal.files.lock import locked

# Their output for an image is always the same.
DETERMINISTIC = (
    mmcv.LoadImageFromFile,
    mmcv.CenterCrop,
    mmcv.Pad,
    mmcv.Resize,
    mmpretrain.CenterCrop,
    mmpretrain.ResizeEdge,
)
SHARED_MEMORY = '/dev/shm'
DAMAGED = (
    *(FileNotFoundError, ValueError, KeyError, EOFError),
    *(BadZipFile, RuntimeError),  # of zipfile
)
CHUNK = 256  # images decoded before they are written together


class CachedImages:
    """Replace the deterministic first transforms of a pipeline by their stored output.

    An image that could not be decoded, or is not 8-bit with channels, is not stored.
    The transforms run on it each time, and raise their own errors.

    Args:
        transforms: The replaced transforms.
        paths: Image paths, (N,).
        pixels: Path of the file with the pixels of all images, one after another.
        table: For each image its offset in that file, ``start``, (N,); ``shape``,
            (N, 3), 0 if not stored; ``ori_shape``, (N, 2); and ``scale_factor``,
            (N, 2), NaN if not resized.
        open_file: A file without a name, to be kept open: closing deletes it.
    """

    def __init__(
        self,
        transforms: Sequence[BaseTransform],
        paths: Sequence[str],
        pixels: str,
        table: dict[str, np.ndarray],
        open_file: BinaryIO | None = None,
    ) -> None:
        self.transforms = list(transforms)
        self.rows = {path: row for row, path in enumerate(paths)}
        self.file = pixels
        self.table = table
        self.open_file = open_file
        self.pixels = np.memmap(pixels, np.uint8, 'r')

    def __call__(self, results: dict) -> dict | None:
        """Add ``img`` and its shapes to ``results``."""
        row = self.rows.get(results['img_path'])
        if row is None or not self.table['shape'][row].any():
            for transform in self.transforms:
                results = transform(results)
                if results is None:  # the pipeline leaves out this image
                    return None
            return results
        start, shape = self.table['start'][row], self.table['shape'][row]
        flat = self.pixels[start : start + np.prod(shape)]
        results['img'] = np.array(flat).reshape(shape)
        results['img_shape'] = tuple(shape[:2].tolist())
        results['ori_shape'] = tuple(self.table['ori_shape'][row].tolist())
        scale = self.table['scale_factor'][row]
        if not np.isnan(scale).any():
            results['scale_factor'] = tuple(scale.tolist())
        return results

    def __getstate__(self) -> dict:
        """Leave out the pixels: a spawned worker opens the file itself."""
        return self.__dict__ | dict(pixels=None, open_file=None)

    def __setstate__(self, state: dict) -> None:
        self.__dict__ = state
        self.pixels = np.memmap(self.file, np.uint8, 'r')

    def __repr__(self) -> str:
        """Return the repr of the replaced transforms: a feature cache depends on it."""
        return ', '.join(map(repr, self.transforms))


def cache_images(
    transforms: Sequence[BaseTransform], paths: Sequence[str], cache: str
) -> list:
    """Run the deterministic first transforms of a pipeline on all images.

    Args:
        transforms: A pipeline.
        paths: Image paths, (N,).
        cache: ``'ram'``: shared with the workers of this process, deleted when it
            ends. Or a folder: mapped into memory by all processes, also later ones.

    Returns:
        The pipeline, with :class:`CachedImages` in place of those transforms.

    Raises:
        FileNotFoundError: If an image is missing.
        OSError: If memory or the disk is too small.
        ValueError: If the pipeline does not begin with ``LoadImageFromFile``.
    """
    first_random = next(
        (n for n, step in enumerate(transforms) if type(step) not in DETERMINISTIC),
        len(transforms),
    )
    if not first_random or type(transforms[0]) is not mmcv.LoadImageFromFile:
        raise ValueError(
            f'cache={cache!r} needs a pipeline that begins with LoadImageFromFile'
        )
    replaced, rest = transforms[:first_random], transforms[first_random:]
    if cache == 'ram':
        if not os.path.isdir(SHARED_MEMORY):
            raise OSError(
                f"cache='ram' needs {SHARED_MEMORY}, which this system does not have: "
                'set cache to a folder'
            )
        file = tempfile.TemporaryFile(dir=SHARED_MEMORY)  # noqa: SIM115 - kept open
        try:
            table = _decode(replaced, paths, file)
        except OSError as error:
            raise OSError(
                f"cache='ram' does not fit in {SHARED_MEMORY}: {error}. Set cache to a "
                'folder, or begin the pipeline with a smaller Resize or ResizeEdge'
            ) from error
        # The file has no name: the system deletes it when this process ends.
        name = f'/proc/{os.getpid()}/fd/{file.fileno()}'
        return [CachedImages(replaced, paths, name, table, file), *rest]
    folder = Path(cache, _key(replaced, paths))
    with locked(folder):
        table = _read_table(folder) if folder.is_dir() else None
        if table is None:
            with atomic_folder(folder) as unfinished:
                with open(unfinished / 'pixels.bin', 'wb') as file:
                    table = _decode(replaced, paths, file)
                np.savez(unfinished / 'table.npz', **table)
    return [CachedImages(replaced, paths, str(folder / 'pixels.bin'), table), *rest]


def _read_table(folder: Path) -> dict[str, np.ndarray] | None:
    """Return the table of a cache. One that is cut is removed: then return ``None``."""
    try:
        with np.load(folder / 'table.npz', allow_pickle=False) as saved:
            table = dict(saved)
        needed = (table['start'] + table['shape'].prod(axis=1)).max(initial=1)
        if (folder / 'pixels.bin').stat().st_size >= needed:
            return table
    except DAMAGED:  # not an error of the disk: the cache may be whole
        pass
    print_log(
        f'The cache of images {folder} is damaged: they are decoded again',
        'current',
        logging.WARNING,
    )
    shutil.rmtree(folder)
    return None


def fingerprint(path: str) -> str:
    """Return a text that changes when the image file changes."""
    stat = os.stat(path)
    return f'{path} {stat.st_size} {stat.st_mtime_ns}'


def _key(transforms: Sequence[BaseTransform], paths: Sequence[str]) -> str:
    digest = hashlib.sha256(repr(transforms).encode())
    for path in paths:
        digest.update(fingerprint(path).encode())
    return digest.hexdigest()[:16]


def _decode(
    transforms: Sequence[BaseTransform], paths: Sequence[str], file: BinaryIO
) -> dict[str, np.ndarray]:
    """Run the transforms on all images, on all cores, and write the pixels."""

    def run(path: str) -> dict | None:
        results = dict(img_path=path)
        try:
            for transform in transforms:
                results = transform(results)
            image = results['img']
        except Exception:  # raised again, with the path, when the image is loaded
            return None
        return results if image.dtype == np.uint8 and image.ndim == 3 else None

    size = len(paths)
    table = dict(
        start=np.zeros(size, np.int64),
        shape=np.zeros((size, 3), np.int64),
        ori_shape=np.zeros((size, 2), np.int64),
        scale_factor=np.full((size, 2), np.nan),
    )
    end = 0
    hidden = None if is_main_process() else True
    with (
        ThreadPoolExecutor(cpu_count()) as pool,
        tqdm(total=size, desc='Decoding', unit=' images', disable=hidden) as bar,
    ):
        for first in range(0, size, CHUNK):
            chunk = paths[first : first + CHUNK]
            for row, results in enumerate(pool.map(run, chunk), first):
                if results is None:
                    continue
                image = results['img']
                file.write(np.ascontiguousarray(image))
                table['start'][row], table['shape'][row] = end, image.shape
                table['ori_shape'][row] = results['ori_shape']
                table['scale_factor'][row] = results.get('scale_factor', np.nan)
                end += image.size
            bar.update(len(chunk))
    if not end:
        file.write(b'\0')  # an empty file cannot be mapped into memory
    file.flush()
    return table
