"""Images in files, read one by one; each that cannot be predicted has a reason."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from mmcv.transforms import Compose
from mmengine.dataset import pseudo_collate
from torch.utils.data import Dataset

from mmimbal.datasets.checking.image_facts import LOADER
from mmimbal.datasets.checking.unreadable import why_unreadable
from mmimbal.datasets.checking.values import (
    how_to_map,
    is_plain,
    range_of,
    read_unchanged,
)
from mmimbal.datasets.sources.dicom import is_dicom, read_dicom


class ImageFiles(Dataset):
    """Images in files; one that cannot be predicted is an item with the reason.

    DICOM files are read as ``tools/prepare_dataset.py`` would convert them.

    Args:
        files: Paths of the images.
        pipeline: Pipeline of test images.
        size: Height and width that it makes of them, if they are the same for all:
            then an image that ends with another size, because it is too small, is a
            problem. In a batch, it would be padded to the size of the others.
    """

    def __init__(
        self,
        files: Sequence[str],
        pipeline: list[dict],
        size: tuple[int, int] | None = None,
    ) -> None:
        self.files = files
        self.pipeline = Compose(pipeline)
        self.size = size

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> dict:
        """Return ``index`` and ``item``, what the pipeline makes, or ``problem``."""
        try:
            if problem := deeper_than_8_bits(self.files[index]):
                return dict(index=index, problem=problem)
            with decodable(self.files[index]) as file:
                item = self.pipeline(dict(img_path=file))
        except Exception as error:  # decoders raise errors of any type
            return dict(index=index, problem=problem_of(self.files[index], error))
        if item is None or 'inputs' not in item:
            return dict(index=index, problem='the pipeline gave no image')
        views = item['inputs'] if isinstance(item['inputs'], list) else [item['inputs']]
        found = {tuple(view.shape[-2:]) for view in views}
        if self.size and found != {self.size}:
            (height, width), (h, w) = self.size, min(found)
            problem = f'it has {h} x {w} pixels, and the model takes {height} x {width}'
            return dict(index=index, problem=problem)
        return dict(index=index, item=item)


@contextmanager
def decodable(file: str) -> Iterator[str]:
    """Give the path of an image for a pipeline; that of a PNG file for a DICOM file."""
    if not is_dicom(Path(file)):
        yield file
        return
    with tempfile.TemporaryDirectory() as folder:
        png = str(Path(folder, 'image.png'))
        cv2.imwrite(png, read_dicom(Path(file)))
        yield png


def problem_of(file: str, error: Exception) -> str:
    """Return why an image cannot be predicted: the file, or else the pipeline."""
    if Path(file).is_file() and is_dicom(Path(file)):
        return str(error)
    try:
        LOADER.transform(dict(img_path=file))
    except Exception:  # decoders raise errors of any type
        return why_unreadable(Path(file))
    return f'{type(error).__name__}: {" ".join(str(error).split())}'


def deeper_than_8_bits(file: str) -> str:
    """Return a sentence if an image has more than 8 bits a channel, else ''.

    Decoders would divide its values by 256, whatever their range is.
    """
    content = Path(file).read_bytes()
    stored = None if is_plain(content) else read_unchanged(content)
    if stored is None or stored.dtype == np.uint8:
        return ''
    return f'{stored.dtype} values: {how_to_map(str(stored.dtype), *range_of(stored))}'


def collate(items: list[dict]) -> dict:
    """Return ``indices``, ``batch`` of the images that could be read, ``problems``."""
    good = [item for item in items if 'item' in item]
    return dict(
        indices=[item['index'] for item in good],
        batch=pseudo_collate([item['item'] for item in good]) if good else None,
        problems={
            item['index']: item['problem'] for item in items if 'problem' in item
        },
    )
