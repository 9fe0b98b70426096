"""Images listed in a CSV file: ``file,label[,group][,split]``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmpretrain.datasets import BaseDataset

from mmimbal.datasets.index_file import (
    check_files,
    check_no_class_is_empty,
    check_paths,
    encode_labels,
    read_classes,
    read_columns,
    select_split,
)
from mmimbal.registry import DATASETS


@DATASETS.register_module()
class CSVDataset(BaseDataset):
    """A folder of images with an ``index.csv``, as ``prepare_dataset.py`` makes it.

    ``file`` is relative to the folder; ``label`` is a class index or a class name;
    ``group`` is what must not straddle splits (a lesion, a patient). Class names come
    from ``dataset.json`` beside the CSV (``{"classes": [...]}``); without it they are
    the sorted labels of all rows.

    Args:
        data_root: The folder.
        split: Which rows to take, by their ``split`` column. All rows if ``None``.
        ann_file: Name of the CSV file in ``data_root``.
        **kwargs: As in :class:`mmpretrain.datasets.BaseDataset`.

    Raises:
        FileNotFoundError: If the folder, the CSV, or an image in it is missing.
        ValueError: If the CSV is not in UTF-8, a column, a cell or the split is
            missing, a file is listed twice, a label is unknown, a path leaves the
            folder, the classes differ from those of ``dataset.json``, or (unless
            ``test_mode``) a class has no image.
    """

    def __init__(
        self,
        data_root: str,
        split: str | None = None,
        ann_file: str = 'index.csv',
        **kwargs,
    ) -> None:
        self.split = split
        kwargs = dict(serialize_data=False) | kwargs  # arrays are compact as they are
        super().__init__(ann_file=ann_file, data_root=data_root, **kwargs)

    def load_data_list(self) -> 'ImageList':
        """Read the rows of the split: ``img_path``, ``gt_label`` and ``group``."""
        index = Path(self.ann_file)
        columns = read_columns(index)
        classes = self._choose_classes(index, columns['label'])
        self._metainfo['classes'] = classes
        columns = select_split(columns, self.split, index)
        labels, files = encode_labels(columns, classes, index), columns['file']
        check_paths(files, index)
        check_files(files, index)
        if not self.test_mode:
            check_no_class_is_empty(labels, classes, f'split {self.split!r} of {index}')
        groups = columns.get('group', files)
        if '' in groups:
            groups = [group or file for group, file in zip(groups, files, strict=True)]
        return ImageList(str(index.parent), labels, as_bytes(files), as_bytes(groups))

    def get_gt_labels(self) -> np.ndarray:
        """Return the label of each image, (N,)."""
        self.full_init()
        return self.data_list.labels

    def get_groups(self) -> list[str]:
        """Return the group of each image; its file where the CSV has no groups."""
        self.full_init()
        return [group.decode() for group in self.data_list.groups.tolist()]

    def _get_unserialized_subset(self, indices: int | Sequence[int]) -> 'ImageList':
        """Return the first images, the last, or some; for ``indices`` of mmengine."""
        if isinstance(indices, int):
            return self.data_list[indices:] if indices < 0 else self.data_list[:indices]
        return self.data_list[np.asarray(indices)]

    def _choose_classes(self, index: Path, labels: Sequence[str]) -> tuple[str, ...]:
        found = read_classes(index, labels)
        chosen = tuple(self._metainfo.get('classes') or found)
        if index.with_name('dataset.json').is_file() and chosen != found:
            raise ValueError(
                f'the config names the classes {", ".join(chosen)}, but the '
                f'dataset.json beside {index} says {", ".join(found)}'
            )
        return chosen

    def extra_repr(self) -> list[str]:
        """Name the file and the split."""
        return [f'Index: \t{self.ann_file}', f'Split: \t{self.split or "all rows"}']


@dataclass(frozen=True)
class ImageList(Sequence):
    """A list of dicts, one for each image, in arrays that processes can share.

    Attributes:
        root: The folder of the images.
        labels: Class of each, (N,).
        files: Path of each below ``root``, (N,), UTF-8.
        groups: Group of each, (N,), UTF-8.
    """

    root: str
    labels: np.ndarray
    files: np.ndarray
    groups: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index):
        """Return ``img_path``, ``gt_label`` and ``group``; of a slice, a list."""
        if not isinstance(index, int | np.integer):
            columns = (self.labels[index], self.files[index], self.groups[index])
            return ImageList(self.root, *columns)
        return dict(
            img_path=f'{self.root}/{self.files[index].decode()}',
            gt_label=int(self.labels[index]),
            group=self.groups[index].decode(),
        )


def as_bytes(cells: Sequence[str]) -> np.ndarray:
    """Return text as an array of UTF-8, (N,)."""
    return np.array([cell.encode() for cell in cells])
