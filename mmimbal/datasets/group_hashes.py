"""Hashes of groups: what a model was trained on, without names of patients."""

import hashlib
from collections.abc import Iterable, Sized

import numpy as np

from mmimbal.datasets.labels_and_groups import get_files, get_groups


def hash_groups(groups: Iterable[str]) -> np.ndarray:
    """Return a hash of each different group, sorted, (G,), int64."""
    digests = (
        hashlib.blake2b(group.encode('utf-8', 'surrogateescape'), digest_size=8)
        for group in set(groups)
    )
    values = [int.from_bytes(each.digest(), 'little', signed=True) for each in digests]
    return np.sort(np.array(values, np.int64))


def groups_or_files(dataset: Sized) -> np.ndarray | None:
    """Return the group of each image, (N,); its file if there are no groups.

    ``None`` if the dataset knows neither.
    """
    for read in (get_groups, get_files):
        try:
            return np.asarray(read(dataset), str)
        except TypeError:
            continue
    return None
