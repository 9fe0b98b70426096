"""Head, medium and tail: groups of classes by their training images."""

from collections.abc import Mapping, Sequence

import numpy as np

HEAD_ABOVE = 100
TAIL_BELOW = 20


def groups_by_count(counts: np.ndarray) -> dict[str, list[int]]:
    """Group classes by the usual thresholds: > 100, 20..100, < 20 training images.

    Args:
        counts: Training images per class, (K,).

    Returns:
        Class indices of ``head``, ``medium`` and ``tail``; any may be empty.
    """
    return {
        'head': np.flatnonzero(counts > HEAD_ABOVE).tolist(),
        'medium': np.flatnonzero(
            (counts >= TAIL_BELOW) & (counts <= HEAD_ABOVE)
        ).tolist(),
        'tail': np.flatnonzero(counts < TAIL_BELOW).tolist(),
    }


def groups_by_name(
    groups: Mapping[str, Sequence[str]], classes: Sequence[str]
) -> dict[str, list[int]]:
    """Turn groups of class names into groups of class indices.

    Raises:
        ValueError: If a name is not a class of the dataset.
    """
    unknown = {name for names in groups.values() for name in names} - set(classes)
    if unknown:
        raise ValueError(
            'groups of ImbalanceMetric (head, medium, tail, ...) contain names that '
            f'are not classes of the dataset: {", ".join(sorted(unknown))}; its '
            f'classes are {", ".join(classes)}'
        )
    return {
        group: [classes.index(name) for name in names]
        for group, names in groups.items()
    }
