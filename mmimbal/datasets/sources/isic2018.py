"""ISIC 2018 task 3, HAM10000."""

from pathlib import Path

from mmimbal.datasets.sources.index import read_csv
from mmimbal.datasets.sources.source import (
    Image,
    Source,
    one_hot_label,
    read_rows,
    require_files,
)

CLASSES = ('akiec', 'bcc', 'bkl', 'df', 'mel', 'nv', 'vasc')
ORIGIN = 'Tschandl et al. 2018, doi:10.7910/DVN/DBW86T'
LICENCE = 'CC BY-NC 4.0'

IMAGES = 'ISIC2018_Task3_Training_Input'
TRUTH = 'ISIC2018_Task3_Training_GroundTruth/ISIC2018_Task3_Training_GroundTruth.csv'
LESIONS = 'ISIC2018_Task3_Training_LesionGroupings.csv'
LAYOUT = f'{IMAGES}/*.jpg, {TRUTH} and {LESIONS}'


def read_isic2018(src: Path) -> Source:
    """Read the training images of the challenge; the group is the lesion.

    Reads the official download (https://challenge.isic-archive.com/data/#2018), as its
    documentation describes it, or an ``index.csv`` with a column ``lesion_id``.

    Raises:
        FileNotFoundError: If a file of the download is missing.
        ValueError: If an image has no lesion, or not exactly one label.
    """
    if (src / 'index.csv').is_file():
        return read_csv(src, CLASSES, 'lesion_id', ORIGIN, LICENCE)
    require_files(src, (IMAGES, TRUTH, LESIONS), LAYOUT)
    lesions = read_rows(src / LESIONS, 'image')
    truth = read_rows(src / TRUTH, 'image')
    without_lesion = [name for name in truth if name not in lesions]
    if without_lesion:
        raise ValueError(
            f'{len(without_lesion)} images of {TRUTH} are not in {LESIONS}, the first '
            f'is {without_lesion[0]}'
        )
    images = [
        Image(
            path=src / IMAGES / f'{name}.jpg',
            label=one_hot_label(row, CLASSES, src / TRUTH),
            group=lesions[name]['lesion_id'],
        )
        for name, row in truth.items()
    ]
    return Source(images, CLASSES, ORIGIN, LICENCE)
