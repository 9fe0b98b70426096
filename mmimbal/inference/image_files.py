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
from mmimbal.datasets.image_values import is_plain, read_unchanged
from mmimbal.datasets.sources.depth import has_8_bits
from mmimbal.datasets.sources.dicom import is_dicom, read_dicom
from mmimbal.datasets.sources.pixel_range import MOST, read_in_range


class ImageFiles(Dataset):
    """Images in files; one that cannot be predicted is an item with the reason.

    DICOM files are read as ``tools/prepare_dataset.py`` would convert them.

    Args:
        files: Paths of the images.
        pipeline: Pipeline of test images.
        size: Height and width that it makes of them, if they are the same for all:
            then an image that ends with another size, because it is too small, is a
            problem. In a batch, it would be padded to the size of the others.
        value_range: Values that become 0 and 255, as ``--range`` of
            ``tools/prepare_dataset.py``; an image of more than 8 bits is a problem if
            ``None``.
    """

    def __init__(
        self,
        files: Sequence[str],
        pipeline: list[dict],
        size: tuple[int, int] | None = None,
        value_range: tuple[float, float] | None = None,
    ) -> None:
        self.files = files
        self.pipeline = Compose(pipeline)
        self.size = size
        self.value_range = value_range

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> dict:
        """Return ``index`` and ``item``, what the pipeline makes, or ``problem``."""
        try:
            problem = self.value_range is None and deeper_than_8_bits(self.files[index])
            if problem:
                return dict(index=index, problem=problem)
            with decodable(self.files[index], self.value_range) as file:
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
def decodable(
    file: str, value_range: tuple[float, float] | None = None
) -> Iterator[str]:
    """Give the path of an image of 8 bits for a pipeline: if need be, of a PNG file.

    Args:
        file: The image. A DICOM file has its own range.
        value_range: Values that become 0 and 255, if any.
    """
    if is_dicom(Path(file)):
        pixels = read_dicom(Path(file))
    elif value_range and not (value_range[1] > MOST and has_8_bits(Path(file))):
        pixels = read_in_range(Path(file), *value_range)
    else:
        yield file
        return
    with tempfile.TemporaryDirectory() as folder:
        png = str(Path(folder, 'image.png'))
        cv2.imwrite(png, pixels)
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
    return (
        f'{stored.dtype} values: give tools/predict.py the --range LOW HIGH that the '
        'training images were prepared with'
    )


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
