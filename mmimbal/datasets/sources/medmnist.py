"""The datasets of MedMNIST."""

import zipfile
import zlib
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from mmimbal.datasets.sources.source import Image, Source, missing_file
from mmimbal.datasets.spelling import SPLITS


def read_medmnist(src: Path) -> Source:
    """Read a dataset of MedMNIST (https://medmnist.com), with its official split.

    The package ``medmnist`` (extra ``medmnist``) gives the class names, and downloads
    a missing file. Without it, class names are numbers.

    Images are read from the file one at a time, when their pixels are asked for.

    Args:
        src: The file: ``pathmnist.npz``, ``dermamnist_224.npz``, ...

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
            labels = {split: file[f'{split}_labels'] for split in SPLITS}
        rows = {split: Rows(src, f'{split}_images') for split in SPLITS}
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f'{src} is no file of MedMNIST: {error}') from None
    for split in SPLITS:
        _check(labels[split], rows[split], f'{src} ({split})')
    highest = max(int(of_split.max(initial=0)) for of_split in labels.values())
    names = info.get('label', {str(k): str(k) for k in range(highest + 1)})
    classes = tuple(names[str(number)] for number in range(len(names)))
    images = [
        Image(
            path=src,
            label=classes[int(label)],
            split=split,
            name=f'{split}/{number:06d}.png',
            pixels=partial(_pixels, rows[split], number),
        )
        for split in SPLITS
        for number, label in enumerate(labels[split][:, 0])
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


def _check(labels: np.ndarray, rows: 'Rows', where: str) -> None:
    """Raise a ValueError if these are no images with one label each."""
    if labels.ndim != 2 or labels.shape[1] != 1:
        raise ValueError(f'{where} has several labels per image: shape {labels.shape}')
    if rows.shape[3:] not in ((), (3,)) or len(rows.shape) < 3:
        raise ValueError(f'{where} holds volumes, not images: shape {rows.shape}')
    if len(labels) != rows.shape[0]:
        raise ValueError(f'{where} has {rows.shape[0]} images and {len(labels)} labels')


class Rows:
    """The rows of an array in an .npz file, read one at a time.

    Reading them in order is fast. Going back begins again at the first row, if the
    array is compressed.

    Args:
        path: The .npz file.
        name: Name of the array.

    Raises:
        KeyError: If there is no such array.
        ValueError: If it does not hold bytes (uint8), row after row.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.file = zipfile.ZipFile(path).open(f'{name}.npy')  # noqa: SIM115 - kept open
        version = npy.read_magic(self.file)
        read_header = {
            (1, 0): npy.read_array_header_1_0,
            (2, 0): npy.read_array_header_2_0,
        }
        self.shape, by_columns, dtype = read_header[version](self.file)
        if dtype != np.uint8 or by_columns:
            order = 'by columns' if by_columns else 'by rows'
            raise ValueError(f'{name} is {dtype}, {order}, instead of uint8 by rows')
        self.start = self.file.tell()

    def __getitem__(self, number: int) -> np.ndarray:
        """Read a row.

        Raises:
            ValueError: If the file is damaged.
        """
        shape = self.shape[1:]
        size = int(np.prod(shape))
        try:
            self.file.seek(self.start + number * size)
            content = self.file.read(size)
            return np.frombuffer(content, np.uint8).reshape(shape)
        except (ValueError, OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            raise ValueError(
                f'{self.path} is damaged at image {number}: {error}. Download it again'
            ) from None


def _pixels(rows: Rows, number: int) -> np.ndarray:
    """Convert an image from gray, (H, W), or RGB, (H, W, 3), to BGR, (H, W, 3)."""
    image = rows[number]
    if image.ndim == 2:
        return np.repeat(image[..., None], 3, axis=2)
    return np.ascontiguousarray(image[..., ::-1])
