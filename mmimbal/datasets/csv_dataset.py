"""Images listed in a CSV file: ``file,label[,group][,split]``."""

import logging
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from mmcv.transforms import LoadImageFromFile
from mmengine.logging import print_log
from mmpretrain.datasets import BaseDataset

from mmimbal.datasets.checking.check_result import (
    read_check_result,
    warn_unless_checked,
)
from mmimbal.datasets.image_cache import cache_images
from mmimbal.datasets.image_list import ImageList
from mmimbal.datasets.index_file import (
    check_no_group_straddles,
    encode_labels,
    groups_of_rows,
    read_classes,
    read_index,
    rows_of_split,
)
from mmimbal.datasets.labels_and_groups import check_no_class_is_empty
from mmimbal.datasets.listed_files import check_files, check_paths
from mmimbal.files.errors import ImageFileError
from mmimbal.registry import DATASETS


@DATASETS.register_module()
class CSVDataset(BaseDataset):
    """A folder of images with an ``index.csv``, as ``prepare_dataset.py`` writes it.

    ``file`` is relative to the folder. ``label`` is a class index or a class name. A
    ``group`` (a lesion, a patient) must not straddle splits. Class names come from
    ``dataset.json`` beside the CSV (``{"classes": [...]}``). Without that file they are
    the sorted labels of all rows, or 0 to the highest index.

    Args:
        data_root: The folder.
        split: The split to read; all rows if ``None``.
        split_column: Column with the splits; ``fold0``, ... in cross-validation.
        on_error: What to do if a training image cannot be loaded: ``'raise'`` stops
            with its path; ``'skip'`` logs a warning and takes the next image of its
            class. In ``test_mode`` an error is always raised.
        shared_groups: Whether a group may be in two splits. Test results are then too
            optimistic.
        ann_file: Name of the CSV file in ``data_root``.
        cache: Where to keep decoded images, so that each is decoded once: ``'ram'``
            (one copy per rank) or a folder (shared by all ranks).
        **kwargs: As in :class:`mmpretrain.datasets.BaseDataset`.

    Raises:
        FileNotFoundError: If the folder, the CSV or an image is missing. Images are
            not searched for if the dataset has passed ``tools/check_dataset.py``.
        OSError: If memory or the disk is too small for the ``cache``.
        ImageFileError: When an image cannot be read or decoded. It is a RuntimeError,
            as is the error of any other transform.
        ValueError: If the CSV is not in UTF-8; a column, a cell or the split is
            missing; a file is listed twice; a label is unknown; a path leaves the
            folder; the classes differ from those of ``dataset.json``; a group is in two
            splits; or a class has no image (not checked in ``test_mode``).
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
                    'and processes share the annotations already. Remove it'
                )
        if split is not None and not isinstance(split, str):
            raise ValueError(
                f'split={split!r} must be the name of one split. For several, use '
                'ConcatDataset'
            )
        self.split = split
        self.split_column = split_column
        self.on_error = on_error
        self.shared_groups = shared_groups
        self.cache = cache
        self.broken: set[int] = set()
        kwargs = dict(serialize_data=False) | kwargs  # arrays are shared already
        super().__init__(ann_file=ann_file, data_root=data_root, **kwargs)

    def full_init(self) -> None:
        """Read the index. With ``cache``, decode the images."""
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

    def load_data_list(self) -> ImageList:
        """Read the rows of the split: ``img_path``, ``gt_label`` and ``group``."""
        index = Path(self.ann_file)
        table = read_index(index)
        classes = self._metainfo['classes'] = self._choose_classes(index, table)
        labels = encode_labels(table, classes, index)
        check_result = read_check_result(index, self.split_column)
        if self.split is not None:
            chosen = rows_of_split(table, self.split, self.split_column, index)
            if check_result != 'checked' and not self.shared_groups:
                check_no_group_straddles(table, self.split_column, index)
            table, labels = (
                table.filter(chosen),
                labels[chosen.to_numpy(zero_copy_only=False)],
            )
        check_paths(table, index)
        if check_result != 'checked':
            check_files(table, index)
        if not self.test_mode:
            warn_unless_checked(check_result, index, self.split_column)
            counts = np.bincount(labels, minlength=len(classes))
            of = f'split {self.split!r} of {index}' if self.split else index
            where = f' in {of}'
            has_names = index.with_name('dataset.json').is_file()
            if not has_names and classes == tuple(map(str, range(len(classes)))):
                where += ', whose classes are 0 to the highest number'
            check_no_class_is_empty(counts, classes, where)
        columns = table['file'], groups_of_rows(table)
        columns = (column.combine_chunks() for column in columns)
        return ImageList(str(index.parent), labels, *columns)

    def get_gt_labels(self) -> np.ndarray:
        """Return the label of each image, (N,)."""
        self.full_init()
        return self.data_list.labels

    def get_groups(self) -> list[str]:
        """Return the group of each image; its file if it has no group."""
        self.full_init()
        return self.data_list.groups.to_pylist()

    def get_files(self) -> list[str]:
        """Return the path of each image, relative to the folder."""
        self.full_init()
        return self.data_list.files.to_pylist()

    def prepare_data(self, idx: int) -> dict:
        """Load and augment an image. If that fails, follow ``on_error``."""
        for candidate in self._candidates(idx):
            if candidate in self.broken:
                continue
            try:
                return super().prepare_data(candidate)
            except Exception as error:
                path = self.get_data_info(candidate)['img_path']
                message = f'{path} cannot be loaded: {type(error).__name__}: {error}'
                if self.test_mode or self.on_error == 'raise':
                    kind = ImageFileError if is_of_file(error) else RuntimeError
                    raise kind(message) from error
                self.broken.add(candidate)
                print_log(
                    f'{message}. It is skipped ({len(self.broken)} images so far in '
                    'this process)',
                    'current',
                    logging.WARNING,
                )
        raise RuntimeError(
            f'no image of class {self.get_gt_labels()[idx]} can be loaded: check the '
            'dataset with tools/check_dataset.py'
        )

    def _candidates(self, idx: int) -> Iterator[int]:
        """Yield an index, then the other indices of its class, in order."""
        yield idx
        labels = self.get_gt_labels()
        same = np.flatnonzero(labels == labels[idx])
        others = np.roll(same, -np.searchsorted(same, idx, 'right')).tolist()
        yield from map(type(idx), others)  # an index that is marked stays marked

    def _get_unserialized_subset(self, indices: int | Sequence[int]) -> ImageList:
        """Return the first or last N images, or a selection, as mmengine asks for."""
        if isinstance(indices, int):
            return self.data_list[indices:] if indices < 0 else self.data_list[:indices]
        return self.data_list[np.asarray(indices)]

    def _choose_classes(self, index: Path, table: pa.Table) -> tuple[str, ...]:
        stored = read_classes(index, table)
        classes = tuple(self._metainfo.get('classes') or stored)
        if index.with_name('dataset.json').is_file() and classes != stored:
            raise ValueError(
                f'the config lists the classes {", ".join(classes)}, but the '
                f'dataset.json beside {index} lists {", ".join(stored)}: use one list'
            )
        return classes

    def extra_repr(self) -> list[str]:
        """Name the file and the split."""
        split = f'{self.split_column} {self.split}' if self.split else 'all rows'
        return [f'Index: \t{self.ann_file}', f'Split: \t{split}']


def is_of_file(error: Exception) -> bool:
    """Return whether an error is that of reading a file, not of another transform."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(
        frame.f_globals.get('__name__') == LoadImageFromFile.__module__
        for frame, _ in frames
    )
