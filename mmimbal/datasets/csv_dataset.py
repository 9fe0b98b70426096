"""Images listed in a CSV file: ``file,label[,group][,split]``."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np
from mmpretrain.datasets import BaseDataset

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
        ValueError: If a column or the split is missing, a label is unknown, a path
            leaves the folder, the classes differ from those of ``dataset.json``, or
            (unless ``test_mode``) a class has no image.
    """

    def __init__(
        self,
        data_root: str,
        split: str | None = None,
        ann_file: str = 'index.csv',
        **kwargs,
    ) -> None:
        self.split = split
        super().__init__(ann_file=ann_file, data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read the rows of the split: ``img_path``, ``gt_label`` and ``group``."""
        index = Path(self.ann_file)
        rows = read_rows(index)
        classes = self._metainfo['classes'] = self._choose_classes(index, rows)
        rows = select_split(rows, self.split, index)
        labels = encode_labels(rows, classes, index)
        check_paths(rows, index)
        check_files(rows, index)
        if not self.test_mode:
            check_no_class_is_empty(labels, classes, f'split {self.split!r} of {index}')
        return [
            dict(
                img_path=str(index.parent / row['file']),
                gt_label=int(label),
                group=row.get('group') or row['file'],
            )
            for row, label in zip(rows, labels, strict=True)
        ]

    def get_groups(self) -> list[str]:
        """Return the group of each image; its file where the CSV has no groups."""
        return [self.get_data_info(index)['group'] for index in range(len(self))]

    def _choose_classes(self, index: Path, rows: list[dict]) -> tuple[str, ...]:
        found = read_classes(index, rows)
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


def read_rows(index: Path) -> list[dict[str, str]]:
    """Read a CSV file with at least the columns ``file`` and ``label``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a column is missing, or the file has no rows.
    """
    if not index.is_file():
        raise FileNotFoundError(
            f'no dataset at {index}. Make it with tools/prepare_dataset.py, or set '
            'MMIMBAL_DATA to the folder that holds your data sets'
        )
    with open(index, newline='', encoding='utf-8-sig') as file:
        reader = csv.DictReader(file)
        require_columns(reader.fieldnames or [], ('file', 'label'), index)
        rows = list(reader)
    for number, row in enumerate(rows, start=2):
        if not row['file'] or not row['label']:
            raise ValueError(f'{index}, line {number}: a file and a label are needed')
    if not rows:
        raise ValueError(f'{index} has a header but no rows')
    return rows


def require_columns(found: Iterable[str], wanted: Iterable[str], index: Path) -> None:
    """Raise a ValueError that names the columns a CSV file lacks."""
    missing = [column for column in wanted if column not in found]
    if missing:
        raise ValueError(
            f'{index} has no column {", ".join(missing)}; its columns are: '
            f'{", ".join(found) or "none"}'
        )


def read_classes(index: Path, rows: list[dict[str, str]]) -> tuple[str, ...]:
    """Return the class names: of ``dataset.json``, else the sorted labels."""
    description = index.with_name('dataset.json')
    if description.is_file():
        return tuple(json.loads(description.read_text(encoding='utf-8'))['classes'])
    labels = {row['label'] for row in rows}
    if all(label.isdecimal() for label in labels):
        return tuple(str(label) for label in range(max(map(int, labels)) + 1))
    return tuple(sorted(labels))


def select_split(
    rows: list[dict[str, str]], split: str | None, index: Path
) -> list[dict[str, str]]:
    """Return the rows of a split.

    Raises:
        ValueError: If the CSV has no ``split`` column or no row of that split.
    """
    if split is None:
        return rows
    require_columns(rows[0], ('split',), index)
    chosen = [row for row in rows if row['split'] == split]
    if not chosen:
        found = ', '.join(sorted({row['split'] for row in rows}))
        raise ValueError(f'{index} has no split {split!r}; its splits are: {found}')
    return chosen


def encode_labels(
    rows: list[dict[str, str]], classes: tuple[str, ...], index: Path
) -> np.ndarray:
    """Turn class names, or else indices, into indices, (N,).

    Raises:
        ValueError: If the labels are neither all class names nor all indices.
    """
    labels = {row['label'] for row in rows}
    codes = {name: code for code, name in enumerate(classes)}
    if not labels <= codes.keys() and all(label.isdecimal() for label in labels):
        codes = {str(code): code for code in range(len(classes))}
    unknown = sorted(labels - codes.keys())
    if unknown:
        first = next(row for row in rows if row['label'] == unknown[0])
        raise ValueError(
            f'{index} has labels that are no class: {", ".join(map(repr, unknown))} '
            f'(first at file {first["file"]!r}). The {len(classes)} classes are: '
            f'{", ".join(classes)}'
        )
    return np.array([codes[row['label']] for row in rows])


def check_paths(rows: list[dict[str, str]], index: Path) -> None:
    """Raise a ValueError if a path is absolute or leaves the folder of the CSV."""
    for row in rows:
        path = PurePosixPath(row['file'])
        if path.is_absolute() or '..' in path.parts:
            raise ValueError(f'{index} lists {row["file"]!r}, outside its own folder')


def check_files(rows: list[dict[str, str]], index: Path) -> None:
    """Check that every image is there.

    Each folder is listed once, so that a million images take seconds.

    Raises:
        FileNotFoundError: If an image is missing.
    """
    folders: dict[PurePosixPath, set[str]] = {}
    missing = []
    for row in rows:
        path = PurePosixPath(row['file'])
        if path.parent not in folders:
            folder = index.parent / path.parent
            names = {item.name for item in folder.iterdir()} if folder.is_dir() else ()
            folders[path.parent] = set(names)
        if path.name not in folders[path.parent]:
            missing.append(row['file'])
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of the {len(rows)} images that {index} lists are missing, '
            f'the first is {index.parent / missing[0]}'
        )


def check_no_class_is_empty(
    labels: np.ndarray, classes: tuple[str, ...], where: str
) -> None:
    """Raise a ValueError that names the classes without an image to train on."""
    counts = np.bincount(labels, minlength=len(classes))
    empty = [name for name, count in zip(classes, counts, strict=True) if not count]
    if empty:
        raise ValueError(
            f'no image to train on for class {", ".join(empty)} in {where}; add '
            'images, or name the classes there are in a dataset.json beside it'
        )
