"""Datasets with an ``index.csv``: own images, and shared copies of public sets."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from mmimbal.datasets import index_file
from mmimbal.datasets.sources.source import Image, Source, missing_file

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
    index_file.check_paths(table, index)
    if group is not None:
        index_file.require_columns(table.column_names, (group,), index)
    description = {} if classes else index_file.read_description(index) or {}
    classes = classes or tuple(description.get('classes') or _sorted_labels(table))
    labels = index_file.encode_labels(table, classes, index)
    columns = table.to_pydict()
    files = columns['file']
    folder = _image_folder(src, files[0])
    no_values = [None] * len(files)
    images = [
        Image(
            path=folder / file,
            label=classes[label],
            group=image_group,
            split=split,
            name=file.removeprefix('images/'),
        )
        for file, label, image_group, split in zip(
            files,
            labels,
            columns.get(group or 'group', no_values),
            columns.get('split', no_values),
            strict=True,
        )
    ]
    return Source(
        images,
        classes,
        origin or description.get('source', 'unknown'),
        licence or description.get('licence', 'unknown'),
    )


def _sorted_labels(table: pa.Table) -> list[str]:
    labels = pc.unique(table['label']).to_pylist()
    return sorted(labels, key=int if all(x.isdecimal() for x in labels) else None)


def _image_folder(src: Path, file: str) -> Path:
    for name in IMAGE_FOLDERS:
        if (src / name / file).is_file():
            return src / name
    raise FileNotFoundError(
        f'{file}, the first image of {src / "index.csv"}, is neither in {src} nor in '
        f'its {" or ".join(IMAGE_FOLDERS[1:])}/'
    )
