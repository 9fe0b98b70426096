"""Chula RBC-12: red blood cell morphology."""

from pathlib import Path

from mmimbal.datasets.sources.index import read_index
from mmimbal.datasets.sources.source import Image, Source, missing_file

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

    Takes a checkout of https://github.com/Chula-PIC-Lab/Chula-RBC-12-Dataset, read
    from its documentation, or a folder of crops with an ``index.csv`` that has a
    ``smear_image``. Elliptocytes (class 12, added later from other slides) are left
    out.

    Raises:
        FileNotFoundError: If a folder of the download is missing.
    """
    if (src / 'index.csv').is_file():
        return read_index(src, CLASSES, 'smear_image', ORIGIN, LICENCE)
    for part in ('Dataset', 'Label'):
        if not (src / part).is_dir():
            raise missing_file(src / part, LAYOUT)
    images = []
    for file in sorted((src / 'Label').glob('*.txt')):
        smear = src / 'Dataset' / f'{file.stem}.jpg'
        for line in file.read_text().splitlines():
            x, y, code = (int(float(number)) for number in line.split())
            if code < len(CLASSES):
                images.append(Image(smear, CLASSES[code], smear.name, centre=(x, y)))
    return Source(images, CLASSES, ORIGIN, LICENCE)
