"""Writing a download as a folder that :class:`mmimbal.datasets.CSVDataset` reads."""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from mmimbal.datasets.sources.source import Image, Source
from mmimbal.datasets.splits import check_groups, split_by_group

CROP = 80
SPLITS = ('train', 'val', 'test')


def write_dataset(source: Source, out: Path, seed: int = 0) -> dict[str, Counter]:
    """Write images, ``index.csv`` and ``dataset.json``.

    The split is the download's where it has one; else 70/10/20, stratified by class
    and grouped. The index is written last, so that an interrupted run leaves none.

    Args:
        source: What was read.
        out: The folder to make.
        seed: Of a split that is made here.

    Returns:
        Images of each class, by split.

    Raises:
        FileExistsError: If ``out`` already holds a dataset.
        FileNotFoundError: If an image is missing.
        ValueError: If a group is in two splits, only some images have a split, a class
            has no training image, an image is listed twice or cannot be decoded.
    """
    if (out / 'index.csv').exists():
        raise FileExistsError(
            f'{out} already holds a dataset; remove it or choose --out'
        )
    images = source.images
    names = _file_names(images)
    groups = [image.group or name for image, name in zip(images, names, strict=True)]
    if any(image.split for image in images):
        splits, origin_of_split = [image.split for image in images], 'of the download'
        if not all(splits):
            name = next(n for n, s in zip(names, splits, strict=True) if not s)
            raise ValueError(
                f'some images have a split and some have none, the first is {name}'
            )
    else:
        labels = [source.classes.index(image.label) for image in images]
        splits = split_by_group(labels, groups, seed).tolist()
        origin_of_split = (
            f'70/10/20, stratified by class, grouped, scikit-learn, seed {seed}'
        )
    check_groups(groups, splits)
    counts: dict[str, Counter] = {split: Counter() for split in SPLITS}
    for image, split in zip(images, splits, strict=True):
        counts.setdefault(split, Counter())[image.label] += 1
    found = {image.label for image in images}
    empty = sorted(name for name in found if not counts['train'][name])
    if empty:
        raise ValueError(
            f'no image to train on for class {", ".join(empty)}: it has too few groups '
            'to be split. Give the images a split column, or choose another --seed'
        )

    (out / 'images').mkdir(parents=True, exist_ok=True)
    pairs = zip(images, names, strict=True)
    for image, name in tqdm(pairs, 'images', len(images), disable=None):
        _write_image(image, out / 'images' / name)

    description = dict(
        classes=source.classes,
        source=source.origin,
        licence=source.licence,
        split=origin_of_split,
        counts=counts,
    )
    (out / 'dataset.json').write_text(json.dumps(description, indent=2) + '\n')
    with open(out / 'index.csv', 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(('file', 'label', 'group', 'split'))
        for image, name, group, split in zip(
            images, names, groups, splits, strict=True
        ):
            writer.writerow((f'images/{name}', image.label, group, split))
    return counts


def _file_names(images: list[Image]) -> list[str]:
    names = [
        f'{image.path.stem}_{image.centre[0]}_{image.centre[1]}_{image.label}.png'
        if image.centre
        else image.name or image.path.name
        for image in images
    ]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f'{len(twice)} images are listed twice, such as {twice[0]}')
    return names


def _write_image(image: Image, target: Path) -> None:
    if not image.path.is_file():
        raise FileNotFoundError(f'image {image.path} is missing')
    target.parent.mkdir(parents=True, exist_ok=True)
    if image.centre is None:
        shutil.copyfile(image.path, target)
        return
    pixels = cv2.imread(str(image.path))
    if pixels is None:
        raise ValueError(f'image {image.path} cannot be decoded')
    cv2.imwrite(str(target), _crop(pixels, *image.centre))


def _crop(pixels: np.ndarray, x: int, y: int) -> np.ndarray:
    """Return the square around a point, the border reflected."""
    half = CROP // 2
    padded = cv2.copyMakeBorder(pixels, *(half,) * 4, cv2.BORDER_REFLECT_101)
    return padded[y : y + CROP, x : x + CROP]
