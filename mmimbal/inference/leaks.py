"""An ensemble is not scored on images that one of its members was trained on."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mmimbal.datasets.group_hashes import hash_groups

SCORED = (
    'the score of the ensemble would be too high. Train members on folds that keep the '
    'test split: tools/prepare_dataset.py --folds 5 --keep-test'
)


def check_no_leak(
    metas: Mapping[Path, Mapping], groups: Sequence[str], harm: str = SCORED
) -> str:
    """Check that no group was in the training of a member.

    Args:
        metas: ``meta`` of the checkpoint of each member.
        groups: Group of each image to score, (N,).
        harm: What a leak does, and how to avoid it.

    Returns:
        A sentence if a member does not tell its groups, else ''.

    Raises:
        ValueError: If a group was; the message names member and group.
    """
    names = sorted(set(groups))
    silent = []
    for checkpoint, meta in metas.items():
        trained = meta.get('training_groups')
        if trained is None:
            silent.append(str(checkpoint))
            continue
        if leaked := known_groups(names, trained.numpy()):
            raise ValueError(
                f'{checkpoint} was trained on {len(leaked)} of the {len(names)} '
                f'groups of these images, the first is {leaked[0]}: {harm}'
            )
    if not silent:
        return ''
    return (
        f'{" and ".join(silent)} do not tell which groups they were trained on: leaks '
        'cannot be excluded'
    )


def known_groups(groups: Sequence[str], hashes: Sequence[int]) -> list[str]:
    """Return which of some groups have one of these hashes, sorted."""
    names = sorted(set(groups))
    known = np.isin([hash_groups([name])[0] for name in names], hashes)
    return [name for name, is_known in zip(names, known, strict=True) if is_known]
