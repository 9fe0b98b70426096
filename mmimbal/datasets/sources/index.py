"""Datasets with an ``index.csv``: own images, and shared copies of public sets."""

import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import cv2
import pyarrow as pa
import pyarrow.compute as pc

from mmimbal.datasets import index_file
from mmimbal.datasets.index_header import COLUMNS, require_columns
from mmimbal.datasets.listed_files import check_paths
from mmimbal.datasets.sources.dicom import is_dicom
from mmimbal.datasets.sources.source import Image, Source, missing_file
from mmimbal.datasets.sources.unsure import (
    combinations,
    overlooked_splits,
    unknown_groups,
)
from mmimbal.datasets.sources.walk import (
    OWN_FILES,
    SUFFIXES,
    files_below,
    reason_to_leave_out,
)
from mmimbal.datasets.spelling import check_near_equal, is_unknown, split_of

IMAGE_FOLDERS = ('', 'images', 'jpg')
LAYOUT = 'index.csv (file,label[,group][,split]) and the images it lists'


def read_csv(
    src: Path,
    classes: tuple[str, ...] | None = None,
    group: str | None = None,
    origin: str | None = None,
    licence: str | None = None,
) -> Source:
    """Read ``index.csv`` (``file,label[,group][,split]``) in a folder.

    Args:
        src: The folder. Files are relative to it, or to its ``images/`` or ``jpg/``.
        classes: Class names in the order of integer labels. If ``None``, those of
            ``dataset.json`` in the folder, or else the sorted labels.
        group: Column with the groups. If ``None``, the column ``group`` if it exists.
        origin: Source of the images; that of ``dataset.json`` if ``None``.
        licence: Licence of the images; that of ``dataset.json`` if ``None``.

    Raises:
        FileNotFoundError: If the CSV or an image is missing.
        ValueError: If a column is missing, a label is outside the classes, or
            ``dataset.json`` does not list them.
    """
    index = src / 'index.csv'
    if not index.is_file():
        raise missing_file(index, LAYOUT)
    table = index_file.read_index(index)
    check_paths(table, index)
    if group is not None:
        require_columns(table.column_names, (group,), index)
    description = {} if classes else index_file.read_description(index) or {}
    classes = classes or tuple(description.get('classes') or _classes(table, index))
    labels = index_file.encode_labels(table, classes, index)
    if group and group != 'group':
        table = table.drop_columns(['group'] if 'group' in table.column_names else [])
        table = table.rename_columns({group: 'group'})
    others = [n for n in table.column_names if n not in COLUMNS]
    unsure = [f'columns that are not used: {", ".join(others)}'] if others else []
    if others and 'group' not in table.column_names:
        unsure[0] += '. If one of them names patients or lesions, call it group'
    unsure += combinations(classes)
    unsure += overlooked_splits(table, others)
    if set(table['label'].to_pylist()) - set(classes):
        pairs = (f'{number} = {name}' for number, name in enumerate(classes))
        unsure.append(f'labels were taken as numbers of classes: {", ".join(pairs)}')
    columns = table.to_pydict()
    files = columns['file']
    folder = _image_folder(src, files[0])
    files, renamed = _as_on_disk(folder, files)
    _refuse_other_files(folder, files, index)
    unsure += renamed
    groups = splits = [None] * len(files)
    if 'group' in columns:
        groups = [
            None if group == _name_of(file) else group  # written here
            for group, file in zip(
                index_file.known_groups(table).to_pylist(), columns['file'], strict=True
            )
        ]
        unsure += unknown_groups(columns['group'])
        known = [group for group in columns['group'] if not is_unknown(group)]
        check_near_equal(known, 'groups', index)
    if 'split' in columns:
        splits, spelled = _usual_splits(columns['split'], index)
        unsure += spelled
    images = [
        Image(
            path=folder / file,
            label=classes[label],
            group=image_group,
            split=split,
            name=_name_of(file),
        )
        for file, label, image_group, split in zip(
            files,
            labels,
            groups,
            splits,
            strict=True,
        )
    ]
    return Source(
        images,
        classes,
        origin or _text(description, 'source') or 'unknown',
        licence or _text(description, 'licence') or 'unknown',
        left_out=_not_listed(src, folder, files),
        unsure=unsure,
        origin_of_split=_text(description, 'split') if 'split' in columns else '',
    )


def _text(description: Mapping, key: str) -> str:
    """Return a text of dataset.json; '' if it is none, as in a file of others."""
    value = description.get(key)
    return value if isinstance(value, str) else ''


def _name_of(file: str) -> str:
    """Return the path of a file below the images, such as ``a/1.png``."""
    return str(PurePosixPath(file)).removeprefix('images/')


def _not_listed(
    src: Path, folder: Path, files: list[str]
) -> dict[str, list[PurePosixPath]]:
    """Return the files of a folder that its index does not list, by reason."""
    listed = {(folder / file).relative_to(src).as_posix() for file in files}
    left_out = defaultdict(list)
    for file in files_below(src):
        if str(file) in listed | OWN_FILES:
            continue
        reason = reason_to_leave_out(src, file, set(), len(file.parts))
        left_out[reason or 'images that index.csv does not list'].append(file)
    return dict(left_out)


def _classes(table: pa.Table, index: Path) -> list[str]:
    """Return the labels, sorted; numbers as numbers."""
    check_near_equal(table['label'].to_pylist(), 'labels', index)
    unknown = sorted(filter(is_unknown, set(table['label'].to_pylist())))
    if unknown:
        raise ValueError(
            f'{index}: some images have the label {", ".join(map(repr, unknown))}. '
            'Give them a class, or remove their lines'
        )
    labels = pc.unique(table['label']).to_pylist()
    return sorted(labels, key=int if all(x.isdecimal() for x in labels) else None)


def _refuse_other_files(folder: Path, files: list[str], index: Path) -> None:
    """Raise a ValueError if a file without a usual suffix is no image."""
    for file in files:
        path = folder / file
        if path.suffix.lower() in SUFFIXES or not path.is_file():
            continue
        if not (is_dicom(path) or cv2.haveImageReader(str(path))):
            raise ValueError(
                f'{index} lists {file!r}, which is no image that OpenCV can decode'
            )


def _as_on_disk(folder: Path, files: list[str]) -> tuple[list[str], list[str]]:
    """Return file names in the Unicode form of the disk, and a sentence if it differs.

    macOS writes an accent as a letter of its own, most other programs do not.
    """
    missing = [file for file in files if not file.isascii()]
    missing = [file for file in missing if not (folder / file).exists()]
    if not missing:
        return files, []
    on_disk = _on_disk(folder, missing[0])
    found = {
        file: on_disk[_normal(file)] for file in missing if _normal(file) in on_disk
    }
    sentence = (
        f'{len(found)} file names have another Unicode form than on disk, the first is '
        f'{next(iter(found))}'
        if found
        else ''
    )
    return [found.get(file, file) for file in files], [sentence] if found else []


def _usual_splits(splits: list[str], index: Path) -> tuple[list[str | None], list[str]]:
    """Return ``train``, ``val`` or ``test`` of each image, and what was renamed.

    Raises:
        ValueError: If a split is none of them.
    """
    names = sorted(set(splits) - {''})
    usual = {name: 'cal' if name == 'cal' else split_of(name) for name in names}
    others = [name for name, split in usual.items() if split is None]
    if others:
        raise ValueError(
            f'{index}: the column split has {", ".join(map(repr, others))}, expected '
            'train, val and test. Rename the column to split the images anew'
        )
    renamed = [f'{name!r} as {split}' for name, split in usual.items() if name != split]
    sentence = [f'splits were taken: {", ".join(renamed)}'] if renamed else []
    return [usual.get(name) for name in splits], sentence


def _image_folder(src: Path, file: str) -> Path:
    for name in IMAGE_FOLDERS:
        if (src / name / file).is_file() or _normal(file) in _on_disk(src / name, file):
            return src / name
    raise FileNotFoundError(
        f'{file}, the first image of {src / "index.csv"}, is neither in {src} nor in '
        f'its {" or ".join(IMAGE_FOLDERS[1:])}/'
        + ('. Write / instead of \\ in paths' if '\\' in file else '')
        + _near(src, file)
    )


def _near(src: Path, file: str) -> str:
    """Return the end of a message: a file of this name with another suffix."""
    stem = PurePosixPath(file).stem
    for name in IMAGE_FOLDERS:
        folder = (src / name / file).parent
        if folder.is_dir():
            for other in sorted(folder.iterdir()):
                if stem in (other.stem, other.name):
                    return f'. There is {other.name}: is it meant?'
    return ''


def _on_disk(folder: Path, file: str) -> dict[str, str]:
    """Return the files below a folder by their composed form; none for ASCII."""
    if file.isascii() or not folder.is_dir():
        return {}
    return {_normal(str(path)): str(path) for path in files_below(folder)}


def _normal(name: str) -> str:
    return unicodedata.normalize('NFC', name)
