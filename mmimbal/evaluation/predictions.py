"""Predictions for the images of a test set, and their file format."""

import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mmimbal.evaluation.metrics import (
    check_probabilities,
    check_scores,
    checked_labels,
)
from mmimbal.files.atomic import atomic_write

FORMAT = 1
SUFFIX = '.npz'
# Allowed types (``numpy.dtype.kind``) and number of dimensions of each array.
KINDS = dict(
    scores=('f', 2),
    labels=('iu', 1),
    files=('U', 1),
    groups=('U', 1),
    classes=('U', 1),
    class_counts=('iu', 1),
    embeddings=('f', 2),
)
OPTIONAL = ('class_counts', 'embeddings')
DAMAGED = (  # errors that numpy raises for a truncated or changed file
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    OSError,
    RuntimeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class Predictions:
    """Scores of N images, with everything that metrics need.

    Attributes:
        scores: Probabilities, (N, K).
        labels: True class of each image, (N,).
        files: Path of each image, (N,).
        groups: Group of each image (lesion, patient, ...), (N,).
        classes: K class names.
        class_counts: Training images of each class, (K,), if known.
        embeddings: Outputs of backbone and neck, (N, D), if saved.
        about: Origin of the predictions, as far as it is known: ``config``,
            ``checkpoint``, ``model`` (hash), ``tta``, ``split``, ``leak``, ``curves``,
            ``training_images`` (their number, without copies).
    """

    scores: np.ndarray
    labels: np.ndarray
    files: np.ndarray
    groups: np.ndarray
    classes: tuple[str, ...]
    class_counts: np.ndarray | None = None
    embeddings: np.ndarray | None = None
    about: Mapping[str, object] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write an ``.npz`` file atomically.

        It contains ``format`` (1), ``scores`` (float32), ``labels`` (int64), ``files``,
        ``groups`` and ``classes`` (text), ``class_counts`` (int64) and ``embeddings``
        (float32) if they exist, and ``about`` (JSON text).

        Raises:
            OSError: If it cannot be written.
        """
        content = dict(
            format=np.array(FORMAT),
            scores=self.scores.astype(np.float32),
            labels=self.labels.astype(np.int64),
            files=np.asarray(self.files, str),
            groups=np.asarray(self.groups, str),
            classes=np.asarray(self.classes, str),
            about=np.array(json.dumps(self.about)),
        )
        if self.class_counts is not None:
            content['class_counts'] = self.class_counts.astype(np.int64)
        if self.embeddings is not None:
            content['embeddings'] = self.embeddings.astype(np.float32)
        with atomic_write(path) as unfinished, open(unfinished, 'wb') as file:
            np.savez_compressed(file, **content)


def predictions_for(
    dataset: Sized,
    scores: np.ndarray,
    class_counts: Sequence[int] | None = None,
    embeddings: np.ndarray | None = None,
    **about,
) -> Predictions:
    """Combine scores with labels, files and groups of a dataset.

    Images without files are called by their index. If the dataset has no groups, each
    image is its own group.

    Args:
        dataset: N images.
        scores: Probabilities, (N, K), in the order of the dataset.
        class_counts: Training images of each class, (K,).
        embeddings: Outputs of backbone and neck, (N, D).
        **about: Further values to save.
    """
    # Imported here: it takes a second, and readers of predictions have no dataset.
    from mmimbal.datasets import get_class_names, get_files, get_groups, get_labels

    try:
        files = get_files(dataset)
    except TypeError:
        files = np.arange(len(dataset)).astype(str)
    try:
        groups = get_groups(dataset)
    except TypeError:
        groups = files
    return Predictions(
        scores,
        get_labels(dataset),
        files,
        groups,
        get_class_names(dataset),
        None if class_counts is None else np.asarray(class_counts),
        embeddings,
        about,
    )


def load_predictions(path: Path) -> Predictions:
    """Read a file that :meth:`Predictions.save` has written; no code in it is run.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, contains no predictions, or its arrays do
            not fit together.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f'no predictions at {path}. Write them with tools/test.py CONFIG '
            'CHECKPOINT --out FILE.npz'
        )
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError('it is truncated, or not an .npz file')
        with np.load(path, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
        return _from_arrays(content)
    except DAMAGED as error:
        reason = str(error) or type(error).__name__
        raise ValueError(
            f'{path} is not a complete file of predictions: {reason}'
        ) from None


def check_same_images(runs: Mapping[str, Predictions]) -> None:
    """Check that paired differences between runs can be computed.

    Raises:
        ValueError: If images, classes, labels or groups differ; the message names two
            runs.
    """
    (first_name, first), *others = runs.items()
    for name, run in others:
        for key in ('classes', 'files', 'labels', 'groups'):
            values = [getattr(each, key) for each in (first, run)]
            if np.array_equal(*values):
                continue
            reason = f'their {key} differ'
            if key == 'files' and sorted(values[0]) == sorted(values[1]):
                reason = 'they have the same images in another order'
            raise ValueError(
                f'{first_name} and {name} cannot be compared in pairs: {reason}. Test '
                'both on the same dataset'
            )


def _from_arrays(content: dict[str, np.ndarray]) -> Predictions:
    missing = {'format', 'about', *KINDS} - {*OPTIONAL, *content}
    if missing:
        raise ValueError(f'it has no {", ".join(sorted(missing))}')
    if int(content['format']) != FORMAT:
        raise ValueError(f'its format is {content["format"]}, expected {FORMAT}')
    for name, (kinds, dimensions) in KINDS.items():
        values = content.get(name)
        if values is not None and (
            values.dtype.kind not in kinds or values.ndim != dimensions
        ):
            raise ValueError(
                f'{name} have type {values.dtype} and shape {values.shape}, expected '
                f'kind {" or ".join(kinds)} and {dimensions} dimensions'
            )
    classes = tuple(content['classes'].tolist())
    # Labels with 8 bits would overflow in confusion matrices.
    labels = checked_labels(content['labels'], classes)
    check_scores(content['scores'], len(labels), len(classes))
    for name in ('labels', 'files', 'groups', 'embeddings'):
        if name in content and len(content[name]) != len(labels):
            raise ValueError(f'{len(content[name])} {name} for {len(labels)} images')
    if (content['groups'] == '').any():
        first = content['files'][content['groups'] == ''][0]
        raise ValueError(f'{first} has no group')
    check_probabilities(content['scores'])
    if 'class_counts' in content and len(content['class_counts']) != len(classes):
        raise ValueError(
            f'{len(content["class_counts"])} class_counts for {len(classes)} classes'
        )
    if not np.isfinite(content.get('embeddings', 0.0)).all():
        raise ValueError('embeddings are not finite: training has diverged')
    return Predictions(
        content['scores'],
        labels,
        content['files'],
        content['groups'],
        classes,
        content.get('class_counts'),
        content.get('embeddings'),
        json.loads(str(content['about'])),
    )
