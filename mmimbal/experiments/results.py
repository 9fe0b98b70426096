"""Results of experiments as JSON: small enough to keep, and enough to compare."""

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
    """Test images of a split.

    Attributes:
        labels: True class of each, (N,).
        groups: Group of each (lesion, patient, ...), (N,).
        classes: K names.
        files: Hash of their names.
    """

    labels: np.ndarray
    groups: np.ndarray
    classes: tuple[str, ...]
    files: str


def images_file(results: Path, dataset: str, fold: int | None) -> Path:
    """Return where the test images of a data set, or of its fold, are kept."""
    name = dataset if fold is None else f'{dataset}_fold{fold}'
    return results / 'images' / f'{name}.json'


def keep_images(found: Predictions, path: Path) -> str:
    """Write the test images of a split, unless they are there; return their hash.

    Raises:
        ValueError: If other images are there, or they have other labels, groups or
            classes: predictions would not be comparable.
    """
    _, groups = np.unique(found.groups, return_inverse=True)
    content = dict(
        classes=list(found.classes),
        files=hashlib.sha256('\n'.join(found.files.tolist()).encode()).hexdigest(),
        labels=pack(found.labels),
        groups=pack(groups),
    )
    if path.is_file():
        before = read_json(path)
        changed = [name for name, value in content.items() if before[name] != value]
        if changed:
            raise ValueError(
                f'the test images are not those of {path}, their {", ".join(changed)} '
                'differ: was the split made anew? Prepare the data set as before, or '
                'write to other --results'
            )
    else:
        write_json(content, path)
    return content['files']


def read_images(path: Path) -> Images:
    """Read what :func:`keep_images` wrote.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    content = read_json(path)
    return Images(
        unpack(content['labels']),
        unpack(content['groups']),
        tuple(content['classes']),
        content['files'],
    )


def pack(values: Sequence[int]) -> str:
    """Return integers as text: 32 bits each, compressed, in base 64."""
    content = np.asarray(values, '<i4').tobytes()
    return base64.b64encode(zlib.compress(content, 9)).decode()


def unpack(text: str) -> np.ndarray:
    """Return what was packed, (N,)."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), '<i4').astype(int)
