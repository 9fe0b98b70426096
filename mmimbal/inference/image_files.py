"""Images to predict: files of a folder, or those of a split."""

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

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
from mmimbal.datasets.csv_dataset import CSVDataset
from mmimbal.datasets.index_file import read_index, rows_of_split
from mmimbal.datasets.sources.dicom import is_dicom, read_dicom
from mmimbal.datasets.sources.walk import (
    BROKEN_LINKS,
    CANNOT_DECODE,
    OWN_FILES,
    files_below,
    reason_to_leave_out,
)

NO_IMAGES = ('.csv', '.xlsx', '.xls', '.json', '.txt', '.zip')
# Height and width of two pairs of images. The same size is made of the first pair by a
# Resize or Pad, and of the second one by a crop.
TRIAL_SIZES = (((211, 307), (307, 211)), ((1999, 3001), (3001, 1999)))


def find_images(paths: Sequence[Path], split: str | None = None) -> list[str]:
    """Return the paths of images.

    Args:
        paths: Images, and folders of images.
        split: Split of a data set; then the only path is its folder.

    Raises:
        FileNotFoundError: If a path does not exist, or there is no image.
        ValueError: If there is a split, but several paths or no such split.
    """
    if split:
        if len(paths) != 1:
            raise ValueError(f'--split {split} needs one folder with an index.csv')
        index = paths[0] / 'index.csv'
        table = read_index(index)
        chosen = table.filter(rows_of_split(table, split, 'split', index))
        return [str(paths[0] / file) for file in chosen['file'].to_pylist()]
    found = []
    for path in paths:
        if path.is_dir():
            found += [
                str(path / file)
                for file, reason in judged_files(path)
                if reason is None or is_image(reason)
            ]
        elif path.exists():
            if path.suffix.lower() in NO_IMAGES:
                raise ValueError(
                    f'{path} is no image: give images or folders, or the folder of an '
                    'index.csv with --split NAME'
                )
            found.append(str(path))
        else:
            raise FileNotFoundError(f'no image or folder {path}')
    if not found:
        raise FileNotFoundError(f'no images in {", ".join(map(str, paths))}')
    return found


def judged_files(folder: Path) -> Iterator[tuple[PurePosixPath, str | None]]:
    """Yield each file of a folder, and why it is no image to predict, if so."""
    is_prepared = (folder / 'index.csv').is_file()
    for file in files_below(folder):
        if is_prepared and str(file) in OWN_FILES:
            continue
        yield file, reason_to_leave_out(folder, file, set(), len(file.parts))


def is_image(reason: str) -> bool:
    """Return whether a file is an image that cannot be read: it gets a row, too."""
    return reason.startswith((CANNOT_DECODE, BROKEN_LINKS))


def files_left_out(paths: Sequence[Path]) -> Counter[str]:
    """Count the files of folders that :func:`find_images` leaves out, by reason."""
    reasons = (why for path in paths if path.is_dir() for _, why in judged_files(path))
    return Counter(why for why in reasons if why and not is_image(why))


def groups_of_split(folder: Path, split: str) -> list[str]:
    """Return the group of each image of a split, (N,); its file without groups."""
    dataset = CSVDataset(str(folder), split, test_mode=True)
    return dataset.get_groups()


def size_of_images(pipeline: Sequence[Mapping]) -> tuple[int, int]:
    """Return height and width of the images that a pipeline makes.

    Raises:
        ValueError: If they are not the same for all images, or this cannot be tried.
    """
    names = [str(step['type']) for step in pipeline]
    steps = [
        step
        for step, name in zip(pipeline, names, strict=True)
        if 'LoadImage' not in name and 'Pack' not in name
    ]
    shapes = []
    for pair in TRIAL_SIZES:
        try:
            shapes = [size_after(steps, size) for size in pair]
        except Exception as error:  # transforms of the user raise errors of any type
            raise ValueError(
                f'{", ".join(names)} cannot be tried on an array: {error}'
            ) from None
        if len(set(shapes)) == 1:
            return shapes[0]
    raise ValueError(
        'the pipeline makes images of several sizes, such as '
        f'{" and ".join(f"{height} x {width}" for height, width in shapes)}: one is '
        'needed. Add a Resize or CenterCrop to the test pipeline'
    )


def size_after(steps: Sequence[Mapping], size: tuple[int, int]) -> tuple[int, int]:
    """Return height and width of an image after the steps of a pipeline."""
    image = np.zeros((*size, 3), np.uint8)
    return Compose(steps)(dict(img=image, img_shape=size))['img'].shape[:2]


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
