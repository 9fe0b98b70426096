"""Cache features of a frozen backbone on disk, and read them as memory maps."""

import hashlib
import json
import math
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from mmengine.dist import barrier, get_rank, get_world_size, is_main_process
from mmpretrain.models import ImageClassifier
from torch.utils.data import Dataset

from mmimbal.datasets import get_labels, read_through_wrappers
from mmimbal.datasets.image_cache import fingerprint
from mmimbal.files.atomic import sync_to_disk
from mmimbal.files.lock import locked
from mmimbal.files.state_hash import state_hash
from mmimbal.stage2.extraction import extract, through_neck

DTYPES = ('float32', 'float16')


def cached_features(
    model: ImageClassifier,
    dataset: Dataset,
    description: str,
    folder: Path,
    views: int = 1,
    seed: int = 0,
    dtype: str = 'float32',
    batch_size: int = 128,
    num_workers: int = 0,
    name: str = '',
    backbone_features: Callable[[], np.ndarray] | None = None,
) -> np.memmap:
    """Return the features of all images; read them from the cache if they are there.

    The features are the last output of the frozen backbone and neck in eval mode. The
    folder of a cache is named after a hash of everything that the features depend on.
    It is written atomically: an incomplete cache, from an interrupted run or a full
    disk, is never read. If the file was truncated later, it is computed again.

    Args:
        model: A classifier.
        dataset: N images, with its pipeline.
        description: Configs of model, pipeline and dataset, as text.
        folder: Folder of all caches.
        views: Augmented views of each image, V.
        seed: Seed of the augmentation.
        dtype: ``'float32'`` or ``'float16'``.
        batch_size: Batch size of the backbone.
        num_workers: Workers of the loader.
        name: Name of the split, for the progress bar.
        backbone_features: Returns inputs of the neck, (V, N, C), which take the place
            of the images. It is not called if the features are in the cache.

    Returns:
        Features, (V, N, ...), the same on all ranks.

    Raises:
        TypeError: If the output of the model is not a tensor.
        ValueError: If ``views`` is below 1, ``dtype`` is unknown, or features are too
            large for float16.
        OSError: If the disk is full.
    """
    if views < 1 or dtype not in DTYPES:
        raise ValueError(
            f'views={views} must be at least 1, and dtype={dtype!r} must be '
            "'float32' or 'float16'"
        )
    key = cache_key(model, dataset, description, views, seed, dtype)
    cache = folder / key
    with _locked_by_main_rank(cache):
        if open_cache(cache) is None:
            images = np.array_split(np.arange(len(dataset)), get_world_size())
            own = images[get_rank()]
            if backbone_features is None:
                loader = dict(batch_size=batch_size, num_workers=num_workers)
                batches = extract(model, dataset, own, views, seed, loader, name)
            else:
                batches = through_neck(model, backbone_features(), own, batch_size)
            _write(batches, cache, [len(part) for part in images], views, dtype)
    return open_cache(cache)


@contextmanager
def _locked_by_main_rank(cache: Path) -> Iterator[None]:
    """Lock a cache: only one run writes it; other runs wait, and then read it."""
    with ExitStack() as stack:
        if is_main_process():
            stack.enter_context(locked(cache))
        barrier()
        yield
        barrier()


def cache_key(
    model: ImageClassifier,
    dataset: Dataset,
    description: str,
    views: int,
    seed: int,
    dtype: str,
) -> str:
    """Return a hash of everything that cached features depend on."""
    digest = hashlib.sha256()
    preprocessor = model.data_preprocessor
    for part in (preprocessor, model.backbone, model.neck):
        # Where the weights came from does not matter: they follow.
        digest.update(re.sub(r'\n *init_cfg=.*', '', repr(part)).encode())
        digest.update(
            state_hash(part.state_dict() if part is not None else {}).encode()
        )
    if getattr(preprocessor, '_enable_normalize', False):
        scale = dict(mean=preprocessor.mean, std=preprocessor.std)
        digest.update(state_hash(scale).encode())
    digest.update(str(getattr(preprocessor, 'to_rgb', None)).encode())
    digest.update(get_labels(dataset).astype(np.int64).tobytes())
    for image in read_through_wrappers(dataset, _fingerprints).tolist():
        digest.update(image.encode())
    digest.update(repr((description, views, seed, dtype)).encode())
    return digest.hexdigest()[:16]


def _fingerprints(dataset: Dataset) -> np.ndarray:
    """Return a fingerprint of each image file, or of its pixels, (N,)."""
    fingerprints = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        if 'img_path' in info:
            fingerprints.append(fingerprint(info['img_path']))
        else:
            pixels = np.ascontiguousarray(info['img'])
            fingerprints.append(hashlib.sha256(pixels).hexdigest())
    return np.array(fingerprints)


def open_cache(cache: Path) -> np.memmap | None:
    """Return the features in a cache; ``None`` if it is missing or damaged."""
    try:
        meta = json.loads((cache / 'meta.json').read_text())
        shape, dtype = tuple(map(int, meta['shape'])), meta['dtype']
        file = cache / 'features.bin'
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if dtype not in DTYPES or not 0 < size == file.stat().st_size:
            return None
        return np.memmap(file, dtype, mode='r', shape=shape)
    except (FileNotFoundError, KeyError, TypeError, ValueError, OverflowError):
        return None


def _remove_damaged(cache: Path) -> None:
    """Remove the files of a damaged cache, and nothing else.

    Raises:
        OSError: If the folder contains other files.
    """
    if not cache.exists():
        return
    for name in ('features.bin', 'meta.json'):
        (cache / name).unlink(missing_ok=True)
    try:
        cache.rmdir()
    except OSError as error:
        raise OSError(
            f'{cache} should be a cache of features, but contains other files: move '
            'this folder to another place'
        ) from error


def _write(
    batches: Iterator[np.ndarray],
    cache: Path,
    sizes: list[int],
    views: int,
    dtype: str,
) -> None:
    """Write a cache: each rank writes its part, and the main rank joins them.

    Args:
        batches: Features of the images of this rank, one view after another.
        cache: Folder of the cache.
        sizes: Number of images of each rank.
        views: Number of views.
        dtype: Type on disk.
    """
    unfinished = cache.with_name(f'{cache.name}.unfinished')
    if is_main_process():
        shutil.rmtree(unfinished, ignore_errors=True)
        _remove_damaged(cache)
        unfinished.mkdir(parents=True)
    barrier()
    shape = ()
    with open(unfinished / f'{get_rank()}.bin', 'wb') as file:
        for features in batches:
            shape = features.shape[1:]
            with np.errstate(over='ignore'):
                converted = features.astype(dtype)
            if np.isinf(converted).any() and np.isfinite(features).all():
                raise ValueError(
                    f'features up to {np.abs(features).max():.3g} do not fit in '
                    f"{dtype}: use dtype='float32'"
                )
            file.write(converted.tobytes())
    barrier()
    if is_main_process():
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        with ExitStack() as stack:
            files = [
                stack.enter_context(open(unfinished / f'{rank}.bin', 'rb'))
                for rank in range(len(sizes))
            ]
            joined = stack.enter_context(open(unfinished / 'features.bin', 'wb'))
            for _ in range(views):
                for file, images in zip(files, sizes, strict=True):
                    joined.write(file.read(images * size))
        for rank in range(len(sizes)):
            (unfinished / f'{rank}.bin').unlink()
        meta = dict(shape=[views, sum(sizes), *shape], dtype=dtype)
        (unfinished / 'meta.json').write_text(json.dumps(meta) + '\n')
        sync_to_disk(unfinished)
        unfinished.rename(cache)
    barrier()
