"""ISIC 2019."""

from pathlib import Path

from mmimbal.datasets.sources.source import (
    Image,
    Source,
    one_hot_label,
    read_rows,
    require_files,
)

CLASSES = ('mel', 'nv', 'bcc', 'ak', 'bkl', 'df', 'vasc', 'scc')
ORIGIN = 'ISIC 2019 challenge: BCN20000, HAM10000, MSK'
LICENCE = 'CC BY-NC 4.0'

IMAGES = 'ISIC_2019_Training_Input'
TRUTH = 'ISIC_2019_Training_GroundTruth.csv'
LESIONS = 'ISIC_2019_Training_Metadata.csv'
LAYOUT = f'{IMAGES}/*.jpg, {TRUTH} and {LESIONS}'


def read_isic2019(src: Path) -> Source:
    """Read the training images of the challenge; the group is the lesion.

    Reads the official download (https://challenge.isic-archive.com/data/#2019). The
    columns were checked with public copies of both tables, not with the images. An
    image without a lesion id is its own group.

    Raises:
        FileNotFoundError: If a file of the download is missing.
        ValueError: If an image does not have exactly one label.
    """
    require_files(src, (IMAGES, TRUTH, LESIONS), LAYOUT)
    lesions = read_rows(src / LESIONS, 'image')
    images = [
        Image(
            path=src / IMAGES / f'{name}.jpg',
            label=one_hot_label(row, CLASSES, src / TRUTH),
            group=lesions.get(name, {}).get('lesion_id') or None,
        )
        for name, row in read_rows(src / TRUTH, 'image').items()
    ]
    return Source(images, CLASSES, ORIGIN, LICENCE)
