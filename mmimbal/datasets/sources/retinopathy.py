"""Diabetic retinopathy: APTOS 2019 and EyePACS."""

from pathlib import Path

from mmimbal.datasets.sources.source import Image, Source, read_rows, require_files

CLASSES = ('no_dr', 'mild', 'moderate', 'severe', 'proliferative')


def read_aptos2019(src: Path) -> Source:
    """Read the training images of APTOS 2019. Patients are not published.

    Reads the download of https://www.kaggle.com/c/aptos2019-blindness-detection.
    Written from its documentation, not tried on the download.

    Raises:
        FileNotFoundError: If a file of the download is missing.
        ValueError: If a grade is not in 0..4.
    """
    layout = 'train.csv (id_code,diagnosis) and train_images/*.png'
    require_files(src, ('train.csv', 'train_images'), layout)
    rows = read_rows(src / 'train.csv', 'id_code')
    images = [
        Image(src / 'train_images' / f'{name}.png', _grade(row, 'diagnosis', name))
        for name, row in rows.items()
    ]
    return Source(images, CLASSES, 'APTOS 2019, Kaggle', 'Kaggle competition rules')


def read_eyepacs(src: Path) -> Source:
    """Read the training images of EyePACS; the group is the patient, with two eyes.

    Reads the download of https://www.kaggle.com/c/diabetic-retinopathy-detection. The
    names and grades were checked with a public copy of its table, not with the images.

    Raises:
        FileNotFoundError: If a file of the download is missing.
        ValueError: If a grade is not in 0..4.
    """
    layout = 'trainLabels.csv (image,level) and train/*.jpeg'
    require_files(src, ('trainLabels.csv', 'train'), layout)
    images = [
        Image(
            path=src / 'train' / f'{name}.jpeg',
            label=_grade(row, 'level', name),
            group=name.rpartition('_')[0] or name,
        )
        for name, row in read_rows(src / 'trainLabels.csv', 'image').items()
    ]
    return Source(images, CLASSES, 'EyePACS, Kaggle', 'Kaggle competition rules')


def _grade(row: dict[str, str], column: str, name: str) -> str:
    grade = row.get(column)
    if grade not in ('0', '1', '2', '3', '4'):
        raise ValueError(f'{column} of {name} is {grade!r}, not a grade of 0 to 4')
    return CLASSES[int(grade)]
