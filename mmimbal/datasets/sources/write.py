"""Writing a download as a folder that :class:`mmimbal.datasets.CSVDataset` reads."""

import csv
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
from tqdm import tqdm

from mmimbal.datasets.sources.source import Image, Source
from mmimbal.datasets.splits import (
    check_groups,
    folds_by_group,
    join_groups,
    split_by_group,
)
from mmimbal.files.atomic import atomic_folder, check_is_new

SPLITS = ('train', 'val', 'test')


def write_dataset(
    source: Source,
    out: Path,
    seed: int = 0,
    split: str = 'official',
    folds: int = 0,
    link: bool = False,
) -> dict[str, Counter]:
    """Write images, ``index.csv`` and ``dataset.json``.

    The folder appears when it is complete: an interrupted run leaves no folder.

    Args:
        source: The download.
        out: The folder to make.
        seed: Seed of the splits that are made here.
        split: ``'official'`` keeps the split of the download, if there is one.
            ``'group'`` makes a new one: 70/10/20, stratified by class and grouped.
            Groups that share an identical image stay together.
        folds: Number of cross-validation folds, added as columns ``fold0``, ``fold1``,
            ...
        link: Whether to make symbolic links to the images instead of copies.

    Returns:
        Number of images per class, by split.

    Raises:
        FileExistsError: If ``out`` is a folder that is not empty.
        NotADirectoryError: If ``out`` is a file.
        FileNotFoundError: If an image is missing.
        OSError: If an image cannot be written: for example, the disk is full.
        ValueError: If a group is in two splits, only some images have a split, a class
            has no training image, or an image is listed twice or cannot be decoded.
    """
    check_is_new(out)
    images = source.images
    names = _file_names(images)
    groups = [image.group or name for image, name in zip(images, names, strict=True)]
    labels = [source.classes.index(image.label) for image in images]
    made_here = f'stratified by class, grouped, scikit-learn, seed {seed}'
    is_official = split == 'official' and any(image.split for image in images)
    joined_groups = groups
    if folds or not is_official:
        joined_groups = join_groups(groups, _contents(images))
    if is_official:
        splits, origin_of_split = [image.split for image in images], 'of the download'
        if not all(splits):
            name = next(n for n, s in zip(names, splits, strict=True) if not s)
            raise ValueError(
                f'some images have a split and some have none, the first is {name}: '
                'give all a split, or use --split group'
            )
    else:
        splits = split_by_group(labels, joined_groups, seed).tolist()
        origin_of_split = f'70/10/20, {made_here}'
    columns = dict(split=splits)
    if folds:
        by_fold = folds_by_group(labels, joined_groups, folds, seed)
        columns |= {f'fold{k}': fold.tolist() for k, fold in enumerate(by_fold)}
        origin_of_split += f'; {folds} folds, {made_here}'
    for cells in columns.values():
        check_groups(groups, cells)
    counts = {column: _count(images, cells) for column, cells in columns.items()}

    description = dict(
        classes=source.classes,
        source=source.origin,
        licence=source.licence,
        split=origin_of_split,
        counts=counts['split'],
    )
    with atomic_folder(out) as folder:
        pairs = zip(images, names, strict=True)
        for image, name in tqdm(pairs, 'images', len(images), disable=None):
            _write_image(image, folder / 'images' / name, link)
        (folder / 'dataset.json').write_text(json.dumps(description, indent=2) + '\n')
        with open(folder / 'index.csv', 'w', newline='', encoding='utf-8') as file:
            writer = csv.writer(file, lineterminator='\n')
            writer.writerow(('file', 'label', 'group', *columns))
            for image, name, group, *cells in zip(
                images, names, groups, *columns.values(), strict=True
            ):
                writer.writerow((f'images/{name}', image.label, group, *cells))
    return counts['split']


def _contents(images: Sequence[Image]) -> list[str]:
    """Return a hash of each image.

    Raises:
        FileNotFoundError: If an image is missing.
    """
    hashes = []
    for image in tqdm(images, 'comparing', disable=None):
        if not image.path.is_file():
            raise FileNotFoundError(f'image {image.path} is missing')
        content = image.pixels().tobytes() if image.pixels else image.path.read_bytes()
        hashes.append(hashlib.blake2b(content, digest_size=16).hexdigest())
    return hashes


def _count(images: Sequence[Image], splits: list[str]) -> dict[str, Counter]:
    """Return the number of images per class, by split.

    Raises:
        ValueError: If a class has no training image.
    """
    counts: dict[str, Counter] = {split: Counter() for split in SPLITS}
    for image, split in zip(images, splits, strict=True):
        counts.setdefault(split, Counter())[image.label] += 1
    labels = {image.label for image in images}
    empty = sorted(name for name in labels if not counts['train'][name])
    if empty:
        raise ValueError(
            f'no image to train on for class {", ".join(empty)}: too few groups to '
            'split. Give the index a split column, or choose another --seed'
        )
    return counts


def _file_names(images: Sequence[Image]) -> list[str]:
    names = [image.name or image.path.name for image in images]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(
            f'{len(repeated)} images are listed twice, the first is {repeated[0]}'
        )
    return names


def _write_image(image: Image, target: Path, link: bool) -> None:
    if not image.path.is_file():
        raise FileNotFoundError(f'image {image.path} is missing')
    target.parent.mkdir(parents=True, exist_ok=True)
    if image.pixels:
        if not cv2.imwrite(str(target), image.pixels()):
            raise OSError(f'{target} cannot be written; is the disk full?')
    elif link:
        target.symlink_to(image.path.resolve())
    else:
        shutil.copyfile(image.path, target)
