"""Writing a download as a folder that :class:`mmimbal.datasets.CSVDataset` reads."""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import cv2
from tqdm import tqdm

from mmimbal.datasets.sources.plan import Plan, check_exists, plan_dataset
from mmimbal.datasets.sources.source import Image, Source
from mmimbal.files.atomic import atomic_folder, check_is_new


def write_dataset(
    source: Source, out: Path, link: bool = False, **options
) -> dict[str, Counter]:
    """Split a download and write it.

    Args:
        source: The download.
        out: As in :func:`write_plan`.
        link: As in :func:`write_plan`.
        **options: As in :func:`plan_dataset`.

    Returns:
        Number of images per class, by split.
    """
    check_is_new(out)
    plan = plan_dataset(source, **options)
    write_plan(plan, out, link)
    return plan.counts


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
        with open(folder / 'index.csv', 'w', newline='', encoding='utf-8') as file:
            writer = csv.writer(file, lineterminator='\n')
            writer.writerow(('file', 'label', 'group', *plan.columns))
            for image, name, group, *cells in zip(
                source.images,
                plan.names,
                plan.groups,
                *plan.columns.values(),
                strict=True,
            ):
                writer.writerow((f'images/{name}', image.label, group, *cells))


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
