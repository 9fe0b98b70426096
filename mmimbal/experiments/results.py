"""Small JSON files with the labels and predictions of experiments."""

import base64
import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmimbal.evaluation.predictions import Predictions
from mmimbal.files.json_file import read_json, write_json


@dataclass(frozen=True)
class Images:
    """Labels and groups of the test images of a split.

    Attributes:
        labels: True class of each image, (N,).
        groups: Group of each image (lesion, patient, ...), (N,).
        classes: K class names.
        files: Hash of the file names.
        train: Number of training images of the split; ``None`` in older results.
    """

    labels: np.ndarray
    groups: np.ndarray
    classes: tuple[str, ...]
    files: str
    train: int | None = None


def images_file(results: Path, dataset: str, fold: int | None) -> Path:
    """Return the file for the test images of a data set, or of one of its folds."""
    name = dataset if fold is None else f'{dataset}_fold{fold}'
    return results / 'images' / f'{name}.json'


def write_images(predictions: Predictions, path: Path) -> str:
    """Write labels and groups of test images; return a hash of the file names.

    If the file exists, it is only checked.

    Raises:
        ValueError: If the file has other images, labels, groups or classes, so that
            predictions could not be compared.
    """
    _, groups = np.unique(predictions.groups, return_inverse=True)
    names = '\n'.join(predictions.files.tolist())
    content = dict(
        classes=list(predictions.classes),
        files=hashlib.sha256(names.encode()).hexdigest(),
        labels=pack(predictions.labels),
        groups=pack(groups),
    )
    train = {}
    if predictions.class_counts is not None:  # of the method that is tested first
        images = predictions.about.get('training_images')  # without copies
        train['train'] = images or int(predictions.class_counts.sum())
    if path.is_file():
        before = read_json(path)
        changed = [name for name, value in content.items() if before[name] != value]
        if changed:
            raise ValueError(
                f'the test images differ from {path} in {", ".join(changed)}: was the '
                'data set split again? Prepare it as before, or choose another folder '
                'for --results'
            )
        if 'train' not in before and train:
            write_json(before | train, path)
    else:
        write_json(content | train, path)
    return content['files']


def read_images(path: Path) -> Images:
    """Read a file that :func:`write_images` has written.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    content = read_json(path)
    return Images(
        unpack(content['labels']),
        unpack(content['groups']),
        tuple(content['classes']),
        content['files'],
        content.get('train'),
    )


def pack(values: Sequence[int]) -> str:
    """Return integers as text: 32 bits each, compressed with zlib, in base 64."""
    content = np.asarray(values, '<i4').tobytes()
    return base64.b64encode(zlib.compress(content, 9)).decode()


def unpack(text: str) -> np.ndarray:
    """Return the integers of a packed text, (N,)."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), '<i4').astype(int)
