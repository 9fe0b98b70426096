"""Several predictions as one: an ensemble, or folds together."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mmimbal.evaluation.predictions import Predictions, check_same_images


def averaged(members: Sequence[Predictions]) -> Predictions:
    """Return the predictions of an ensemble: mean probabilities of its members.

    Raises:
        ValueError: If their images, classes, labels or groups differ.
    """
    check_same_images({f'member {n}': each for n, each in enumerate(members)})
    scores = np.mean([each.scores for each in members], axis=0)
    return replace(members[0], scores=scores, embeddings=None, about={})


def pooled(parts: Sequence[Predictions]) -> Predictions:
    """Return the predictions of several folds as one, without class counts.

    Raises:
        ValueError: If the classes differ, or an image is in several folds.
    """
    if len({part.classes for part in parts}) > 1:
        raise ValueError('folds cannot be pooled: their classes differ')
    files = np.concatenate([part.files for part in parts])
    folds_of = Counter(file for part in parts for file in set(part.files.tolist()))
    for file, number in folds_of.items():
        if number > 1:
            raise ValueError(f'{file} is in the test split of {number} folds')
    return Predictions(
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.labels for part in parts]),
        files,
        np.concatenate([part.groups for part in parts]),
        parts[0].classes,
    )
