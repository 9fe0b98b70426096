"""ISIC 2018 task 3, HAM10000."""

import csv
from pathlib import Path

from mmimbal.datasets.sources.index import read_index
from mmimbal.datasets.sources.source import Image, Source, missing_file

CLASSES = ('akiec', 'bcc', 'bkl', 'df', 'mel', 'nv', 'vasc')
ORIGIN = 'Tschandl et al. 2018, doi:10.7910/DVN/DBW86T'
LICENCE = 'CC BY-NC 4.0'

IMAGES = 'ISIC2018_Task3_Training_Input'
TRUTH = 'ISIC2018_Task3_Training_GroundTruth/ISIC2018_Task3_Training_GroundTruth.csv'
LESIONS = 'ISIC2018_Task3_Training_LesionGroupings.csv'
LAYOUT = f'{IMAGES}/*.jpg, {TRUTH} and {LESIONS}'


def read_isic2018(src: Path) -> Source:
    """Read the training images of the challenge; the group is the lesion.

    Takes the official download (https://challenge.isic-archive.com/data/#2018), read
    from its documentation, or a folder with an ``index.csv`` that has a ``lesion_id``.

    Raises:
        FileNotFoundError: If a file of the download is missing.
    """
    if (src / 'index.csv').is_file():
        return read_index(src, CLASSES, 'lesion_id', ORIGIN, LICENCE)
    for part in (IMAGES, TRUTH, LESIONS):
        if not (src / part).exists():
            raise missing_file(src / part, LAYOUT)
    with open(src / LESIONS, newline='', encoding='utf-8-sig') as file:
        lesions = {row['image']: row['lesion_id'] for row in csv.DictReader(file)}
    with open(src / TRUTH, newline='', encoding='utf-8-sig') as file:
        images = [
            Image(
                path=src / IMAGES / f'{row["image"]}.jpg',
                label=next(name for name in CLASSES if float(row[name.upper()]) == 1),
                group=lesions[row['image']],
            )
            for row in csv.DictReader(file)
        ]
    return Source(images, CLASSES, ORIGIN, LICENCE)
