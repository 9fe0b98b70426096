"""A folder with an ``index.csv``: the generic CSV, and the form shared copies have."""

from pathlib import Path

from mmimbal.datasets import index_file
from mmimbal.datasets.sources.source import Image, Source, missing_file

IMAGE_FOLDERS = ('', 'images', 'jpg')
LAYOUT = 'index.csv (file,label[,group][,split]) and the images it lists'


def read_index(
    src: Path,
    classes: tuple[str, ...] | None = None,
    group: str | None = None,
    origin: str = 'unknown',
    licence: str = 'unknown',
) -> Source:
    """Read ``index.csv`` (``file,label[,split]`` and a column of groups) in a folder.

    Args:
        src: The folder. Files are relative to it, or to its ``images/`` or ``jpg/``.
        classes: Names of integer labels; the sorted labels themselves if ``None``.
        group: Column that holds the group; ``group`` if there is one, by default.
        origin: Where the images come from.
        licence: Under which terms.

    Raises:
        FileNotFoundError: If the CSV or an image is missing.
        ValueError: If a column is missing, or a label is outside the classes.
    """
    index = src / 'index.csv'
    if not index.is_file():
        raise missing_file(index, LAYOUT)
    table = index_file.read_index(index)
    index_file.check_paths(table, index)
    if group is not None:
        index_file.require_columns(table.column_names, (group,), index)
    columns = table.to_pydict()
    files, labels = columns['file'], sorted(set(columns['label']))
    if classes is None:
        names = {label: label for label in labels}
        if all(label.isdecimal() for label in labels):
            labels.sort(key=int)
    else:
        names = {str(number): name for number, name in enumerate(classes)}
        names |= {name: name for name in classes}
        unknown = [label for label in labels if label not in names]
        if unknown:
            raise ValueError(
                f'{index} has labels outside the {len(classes)} classes: '
                f'{", ".join(unknown)}'
            )
    folder = _image_folder(src, files[0])
    nothing = [None] * len(files)
    images = [
        Image(
            path=folder / file,
            label=names[label],
            group=of_group,
            split=split,
            name=file.removeprefix('images/'),
        )
        for file, label, of_group, split in zip(
            files,
            columns['label'],
            columns.get(group or 'group', nothing),
            columns.get('split', nothing),
            strict=True,
        )
    ]
    return Source(images, classes or tuple(labels), origin, licence)


def _image_folder(src: Path, file: str) -> Path:
    for name in IMAGE_FOLDERS:
        if (src / name / file).is_file():
            return src / name
    raise FileNotFoundError(
        f'{file}, the first image of {src / "index.csv"}, is neither in {src} nor in '
        f'its {" or ".join(IMAGE_FOLDERS[1:])}/'
    )
