"""Chula RBC-12: red blood cell morphology."""

from functools import partial
from pathlib import Path

import cv2
import numpy as np

from mmimbal.datasets.sources.index import read_csv
from mmimbal.datasets.sources.source import Image, Source, require_files

CROP = 80
CLASSES = (
    'normal',
    'macrocyte',
    'microcyte',
    'spherocyte',
    'target_cell',
    'stomatocyte',
    'ovalocyte',
    'teardrop',
    'burr_cell',
    'schistocyte',
    'uncategorised',
    'hypochromia',
)
ORIGIN = 'Naruenatthanaset et al., arXiv:2012.01321'
LICENCE = 'MIT (Chula PIC Lab 2021)'
LAYOUT = 'Dataset/*.jpg (smears) and Label/*.txt (lines of: x y class)'


def read_rbc12(src: Path) -> Source:
    """Read one crop per labelled cell; the group is the smear.

    Reads a checkout of https://github.com/Chula-PIC-Lab/Chula-RBC-12-Dataset, as its
    documentation describes it, or an ``index.csv`` of crops with a column
    ``smear_image``. Elliptocytes (class 12, added later from other slides) are not
    read.

    Raises:
        FileNotFoundError: If a folder of the download is missing.
        ValueError: If a line of a label file cannot be read.
    """
    if (src / 'index.csv').is_file():
        return read_csv(src, CLASSES, 'smear_image', ORIGIN, LICENCE)
    require_files(src, ('Dataset', 'Label'), LAYOUT)
    images = []
    for file in sorted((src / 'Label').glob('*.txt')):
        smear = src / 'Dataset' / f'{file.stem}.jpg'
        for number, line in enumerate(file.read_text().splitlines(), 1):
            try:
                x, y, code = (int(float(word)) for word in line.split())
            except ValueError:
                raise ValueError(
                    f'{file}, line {number}: expected x y class, not {line!r}'
                ) from None
            if 0 <= code < len(CLASSES):
                images.append(
                    Image(
                        path=smear,
                        label=CLASSES[code],
                        group=smear.name,
                        name=f'{smear.stem}_{x}_{y}_{CLASSES[code]}.png',
                        pixels=partial(crop, smear, x, y),
                    )
                )
    return Source(images, CLASSES, ORIGIN, LICENCE)


def crop(smear: Path, x: int, y: int) -> np.ndarray:
    """Cut a square out of a smear around a point; the border is reflected.

    Raises:
        ValueError: If the smear cannot be decoded, or the point is outside of it.
    """
    pixels = cv2.imread(str(smear))
    if pixels is None:
        raise ValueError(f'image {smear} cannot be decoded')
    height, width = pixels.shape[:2]
    if not (0 <= x <= width and 0 <= y <= height):
        raise ValueError(
            f'{smear} has {width} x {height} pixels, but a point of its label file is '
            f'at {x} {y}'
        )
    half = CROP // 2
    padded = cv2.copyMakeBorder(pixels, *(half,) * 4, cv2.BORDER_REFLECT_101)
    return padded[y : y + CROP, x : x + CROP]
