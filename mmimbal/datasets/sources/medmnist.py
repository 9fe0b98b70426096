"""The datasets of MedMNIST."""

import zipfile
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from mmimbal.datasets.sources.source import Image, Source, missing_file

SPLITS = ('train', 'val', 'test')


def read_medmnist(src: Path) -> Source:
    """Read a dataset of MedMNIST (https://medmnist.com), with its official split.

    The package ``medmnist`` (extra ``medmnist``) gives the class names, and downloads
    a missing file. Without it, class names are numbers.

    Args:
        src: The file: ``pathmnist.npz``, ``dermamnist_64.npz``, ...

    Raises:
        FileNotFoundError: If the file is missing, and the package is not installed.
        ValueError: If images are volumes or have several labels, or the file is broken.
    """
    info = _info(src)
    if not src.is_file():
        if not info:
            raise missing_file(src, 'a file of MedMNIST, for example pathmnist.npz')
        _download(src, info)
    try:
        with np.load(src, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        parts = {s: (arrays[f'{s}_images'], arrays[f'{s}_labels']) for s in SPLITS}
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f'{src} is no file of MedMNIST: {error}') from None
    labels = np.concatenate([labels for _, labels in parts.values()])
    if labels.ndim != 2 or labels.shape[1] != 1:
        raise ValueError(f'{src} has several labels per image: shape {labels.shape}')
    if any(images.shape[3:] not in ((), (3,)) for images, _ in parts.values()):
        raise ValueError(f'{src} holds volumes, not images')
    names = info.get('label', {str(k): str(k) for k in range(labels.max() + 1)})
    classes = tuple(names[str(number)] for number in range(len(names)))
    images = [
        Image(
            path=src,
            label=classes[int(label[0])],
            split=split,
            name=f'{split}/{number:06d}.png',
            pixels=partial(_pixels, image),
        )
        for split, (split_images, split_labels) in parts.items()
        for number, (image, label) in enumerate(
            zip(split_images, split_labels, strict=True)
        )
    ]
    origin = f'MedMNIST v2, {src.stem}, doi:10.1038/s41597-022-01721-8'
    return Source(
        images, classes, origin, info.get('license', 'see https://medmnist.com')
    )


def _info(src: Path) -> dict:
    if find_spec('medmnist') is None:
        return {}
    from medmnist import INFO

    return INFO.get(src.stem.split('_')[0], {})


def _download(src: Path, info: dict) -> None:
    import medmnist

    src.parent.mkdir(parents=True, exist_ok=True)
    _, _, size = src.stem.partition('_')
    dataset = getattr(medmnist, info['python_class'])
    dataset('test', download=True, root=str(src.parent), size=int(size or 28))


def _pixels(image: np.ndarray) -> np.ndarray:
    """Convert an image from gray, (H, W), or RGB, (H, W, 3), to BGR, (H, W, 3)."""
    if image.ndim == 2:
        return np.repeat(image[..., None], 3, axis=2)
    return np.ascontiguousarray(image[..., ::-1])
