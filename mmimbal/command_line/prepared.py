"""Data sets that have no base in configs/: any folder of tools/prepare_dataset.py."""

import os
from pathlib import Path

OWN = 'own'  # the base that theirs are copied from
WITHOUT_FOLDER = 'digits_lt'  # a base whose images are in a Python package


def data_folder(word: str) -> Path:
    """Return the folder of a data set: ``$MMIMBAL_DATA/WORD``, or ``data/WORD``.

    Raises:
        ValueError: If a config cannot name it.
    """
    folder = root_of_data() / word
    check_name(folder)
    return folder


def root_of_data() -> Path:
    """Return the folder that holds the data sets: ``$MMIMBAL_DATA``, or ``data``."""
    return Path(os.environ.get('MMIMBAL_DATA') or 'data')


def check_new_name(folder: Path) -> None:
    """Raise a ValueError if no experiment can name a new data set in a folder."""
    check_name(folder)
    if folder.name == WITHOUT_FOLDER:
        raise ValueError(
            f'{folder}: the word {WITHOUT_FOLDER} means the digits of scikit-learn. '
            'Choose another name'
        )


def check_name(folder: Path) -> None:
    """Raise a ValueError if a config cannot name a folder."""
    for character in ("'", '"', '\\'):
        if character in folder.as_posix():
            raise ValueError(
                f'{folder}: a config cannot name a folder with {character} in its '
                'path. Rename it'
            )


def is_prepared(folder: Path) -> bool:
    """Return whether a folder is a prepared data set."""
    return all((folder / name).is_file() for name in ('index.csv', 'dataset.json'))


def base_of_prepared(word: str, own: Path) -> str:
    """Return the text of the base of a prepared data set.

    Args:
        word: Name of its folder.
        own: The base ``own.py``, whose number of classes and folder are replaced.

    Raises:
        ValueError: If its ``dataset.json`` does not list the classes.
    """
    from mmimbal.datasets.index_file import read_description  # imports torch

    classes = read_description(data_folder(word) / 'index.csv')['classes']
    text = own.read_text(encoding='utf-8')
    for line in text.splitlines():
        if line.startswith('num_classes = '):
            text = text.replace(line, f'num_classes = {len(classes)}')
    return text.replace('}}/own', '}}/' + word)
