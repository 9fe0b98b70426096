"""Writing a download as a folder that :class:`mmimbal.datasets.CSVDataset` reads."""

import json
import shutil
from pathlib import Path

import cv2
from tqdm import tqdm

from mmimbal.datasets.sources.plan import Plan, check_exists
from mmimbal.datasets.sources.source import Image
from mmimbal.files.atomic import atomic_folder
from mmimbal.files.csv_file import write_columns


def write_plan(plan: Plan, out: Path, link: bool = False) -> None:
    """Write images, ``index.csv`` and ``dataset.json``.

    The folder appears when it is complete: an interrupted run leaves no folder.

    Args:
        plan: What to write.
        out: The folder to make.
        link: Whether to make symbolic links to the images instead of copies.

    Raises:
        FileExistsError: If ``out`` is a folder that is not empty.
        NotADirectoryError: If ``out`` is a file.
        FileNotFoundError: If an image is missing.
        OSError: If an image cannot be written: for example, the disk is full.
    """
    source = plan.source
    description = dict(
        classes=source.classes,
        source=source.origin,
        licence=source.licence,
        split=plan.origin_of_split,
        counts=plan.counts,
    )
    with atomic_folder(out) as folder:
        pairs = zip(source.images, plan.names, strict=True)
        for image, name in tqdm(pairs, 'images', len(plan.names), disable=None):
            _write_image(image, folder / 'images' / name, link)
        (folder / 'dataset.json').write_text(json.dumps(description, indent=2) + '\n')
        columns = dict(
            file=[f'images/{name}' for name in plan.names],
            label=[image.label for image in source.images],
            group=plan.groups,
            **plan.columns,
        )
        write_columns(columns, folder / 'index.csv')


def _write_image(image: Image, target: Path, link: bool) -> None:
    check_exists(image)
    target.parent.mkdir(parents=True, exist_ok=True)
    if image.pixels:
        if not cv2.imwrite(str(target), image.pixels()):
            raise OSError(f'{target} cannot be written; is the disk full?')
    elif link:
        target.symlink_to(image.path.resolve())
    else:
        shutil.copyfile(image.path, target)
