"""Images listed in a CSV file: ``file,label[,group][,split]``."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from mmengine.logging import print_log
from mmpretrain.datasets import BaseDataset

from mmimbal.datasets.checking.check_result import REPORT, read_check_result
from mmimbal.datasets.image_cache import cache_images
from mmimbal.datasets.index_file import (
    check_apart,
    check_files,
    check_no_class_is_empty,
    check_paths,
    encode_labels,
    read_classes,
    read_index,
    rows_of_split,
)
from mmimbal.registry import DATASETS


@DATASETS.register_module()
class CSVDataset(BaseDataset):
    """A folder of images with an ``index.csv``, as ``prepare_dataset.py`` makes it.

    ``file`` is relative to the folder; ``label`` is a class index or a class name;
    ``group`` is what must not straddle splits (a lesion, a patient). Class names come
    from ``dataset.json`` beside the CSV (``{"classes": [...]}``); without it they are
    the sorted labels of all rows, or 0 to the highest where labels are indices.

    Args:
        data_root: The folder.
        split: Which rows to take. All rows if ``None``.
        split_column: Column that says so, such as ``fold0`` in cross-validation.
        on_error: What becomes of a training image that cannot be loaded: ``'raise'``
            names it; ``'skip'`` takes the next image of its class, and logs a warning.
            In ``test_mode`` every image counts, so that it is always raised.
        shared_groups: Whether a group may be in two splits: tests then flatter.
        ann_file: Name of the CSV file in ``data_root``.
        cache: ``'ram'``, or a folder: images are decoded once, and kept there. Ranks
            share a folder, while each has ``'ram'`` of its own.
        **kwargs: As in :class:`mmpretrain.datasets.BaseDataset`.

    Raises:
        FileNotFoundError: If the folder, the CSV, or an image in it is missing. Images
            are not looked for if ``tools/check_dataset.py`` has found them all.
        OSError: If memory or the disk is too small for the ``cache``.
        RuntimeError: When an image cannot be loaded.
        ValueError: If the CSV is not in UTF-8, a column, a cell or the split is
            missing, a file is listed twice, a label is unknown, a path leaves the
            folder, the classes differ from those of ``dataset.json``, a group is in two
            splits, or (unless ``test_mode``) a class has no image.
    """

    def __init__(
        self,
        data_root: str,
        split: str | None = None,
        split_column: str = 'split',
        ann_file: str = 'index.csv',
        on_error: str = 'raise',
        shared_groups: bool = False,
        cache: str | None = None,
        **kwargs,
    ) -> None:
        if on_error not in ('raise', 'skip'):
            raise ValueError(f"on_error={on_error!r} must be 'raise' or 'skip'")
        for option in ('data_prefix', 'serialize_data'):
            if kwargs.get(option):
                raise ValueError(
                    f'CSVDataset takes no {option}: files are relative to data_root, '
                    'and lists are kept in arrays, which processes share'
                )
        self.split = split
        self.split_column = split_column
        self.on_error = on_error
        self.shared_groups = shared_groups
        self.cache = cache
        self.broken: set[int] = set()
        kwargs = dict(serialize_data=False) | kwargs  # arrays are compact as they are
        super().__init__(ann_file=ann_file, data_root=data_root, **kwargs)

    def full_init(self) -> None:
        """Read the index, and decode the images if they are to be kept."""
        if self._fully_initialized:
            return
        super().full_init()
        if self.cache:
            images = self.data_list
            self.pipeline.transforms = cache_images(
                self.pipeline.transforms,
                [f'{images.root}/{file}' for file in images.files.to_pylist()],
                self.cache,
            )

    def load_data_list(self) -> 'ImageList':
        """Read the rows of the split: ``img_path``, ``gt_label`` and ``group``."""
        index = Path(self.ann_file)
        table = read_index(index)
        classes = self._metainfo['classes'] = self._choose_classes(index, table)
        labels = encode_labels(table, classes, index)
        state = read_check_result(index, self.split_column)
        if self.split is not None:
            chosen = rows_of_split(table, self.split, self.split_column, index)
            if state != 'checked' and not self.shared_groups:
                check_apart(table, self.split_column, index)
            table, labels = (
                table.filter(chosen),
                labels[chosen.to_numpy(zero_copy_only=False)],
            )
        check_paths(table, index)
        if state != 'checked':
            check_files(table, index)
        if not self.test_mode:
            warn_unless_checked(state, index, self.split_column)
            check_no_class_is_empty(labels, classes, f'split {self.split!r} of {index}')
        files = table['file']
        groups = table['group'] if 'group' in table.column_names else files
        groups = pc.if_else(pc.equal(groups, ''), files, groups)
        columns = (column.combine_chunks() for column in (files, groups))
        return ImageList(str(index.parent), labels, *columns)

    def get_gt_labels(self) -> np.ndarray:
        """Return the label of each image, (N,)."""
        self.full_init()
        return self.data_list.labels

    def get_groups(self) -> list[str]:
        """Return the group of each image; its file where the CSV has no groups."""
        self.full_init()
        return self.data_list.groups.to_pylist()

    def get_files(self) -> list[str]:
        """Return the file of each image below the folder."""
        self.full_init()
        return self.data_list.files.to_pylist()

    def prepare_data(self, idx: int) -> dict:
        """Load and augment an image; see ``on_error``."""
        for candidate in self._candidates(idx):
            if candidate in self.broken:
                continue
            try:
                return super().prepare_data(candidate)
            except Exception as error:
                path = self.get_data_info(candidate)['img_path']
                message = f'{path} cannot be loaded: {type(error).__name__}: {error}'
                if self.test_mode or self.on_error == 'raise':
                    raise RuntimeError(message) from error
                self.broken.add(candidate)
                print_log(
                    f'{message}. Skipped, as {len(self.broken)} images so far in this '
                    'process',
                    'current',
                    logging.WARNING,
                )
        raise RuntimeError(
            f'no image of class {self.get_gt_labels()[idx]} can be loaded'
        )

    def _candidates(self, idx: int) -> Iterator[int]:
        """Yield an image, then the others of its class that follow it."""
        yield idx
        labels = self.get_gt_labels()
        same = np.flatnonzero(labels == labels[idx])
        yield from np.roll(same, -np.searchsorted(same, idx, 'right')).tolist()

    def _get_unserialized_subset(self, indices: int | Sequence[int]) -> 'ImageList':
        """Return the first images, the last, or some; for ``indices`` of mmengine."""
        if isinstance(indices, int):
            return self.data_list[indices:] if indices < 0 else self.data_list[:indices]
        return self.data_list[np.asarray(indices)]

    def _choose_classes(self, index: Path, table: pa.Table) -> tuple[str, ...]:
        found = read_classes(index, table)
        chosen = tuple(self._metainfo.get('classes') or found)
        if index.with_name('dataset.json').is_file() and chosen != found:
            raise ValueError(
                f'the config names the classes {", ".join(chosen)}, but the '
                f'dataset.json beside {index} says {", ".join(found)}'
            )
        return chosen

    def extra_repr(self) -> list[str]:
        """Name the file and the split."""
        split = f'{self.split_column} {self.split}' if self.split else 'all rows'
        return [f'Index: \t{self.ann_file}', f'Split: \t{split}']


def warn_unless_checked(state: str, index: Path, split_column: str) -> None:
    """Warn of a dataset that was never checked, or that failed."""
    if state == 'checked':
        return
    said = {
        'failed': f'has failed its check: see {index.with_name(REPORT)}',
        'unchecked': 'was not checked since its index was written',
    }[state]
    column = '' if split_column == 'split' else f' --split-column {split_column}'
    print_log(
        f'The dataset {index.parent} {said}. Check it with: python '
        f'tools/check_dataset.py {index.parent}{column}',
        'current',
        logging.WARNING,
    )


@dataclass(frozen=True)
class ImageList(Sequence):
    """A list of dicts, one for each image, in arrays that processes can share.

    Attributes:
        root: The folder of the images.
        labels: Class of each, (N,).
        files: Path of each below ``root``, (N,).
        groups: Group of each, (N,).
    """

    root: str
    labels: np.ndarray
    files: pa.Array
    groups: pa.Array

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index):
        """Return ``img_path``, ``gt_label`` and ``group``; of a slice, a list."""
        if isinstance(index, int | np.integer):
            return dict(
                img_path=f'{self.root}/{self.files[index]}',
                gt_label=int(self.labels[index]),
                group=str(self.groups[index]),
            )
        chosen = pa.array(np.arange(len(self))[index])
        columns = (self.files.take(chosen), self.groups.take(chosen))
        return ImageList(self.root, self.labels[index], *columns)
