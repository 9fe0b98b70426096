"""An ensemble is not scored on images that one of its members was trained on."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from mmengine.dist import is_main_process

from mmimbal.datasets.group_hashes import hash_groups

SCORED = (
    'the score of the ensemble would be too high. Train members on folds that keep the '
    'test split: tools/prepare_dataset.py --folds 5 --keep-test'
)
UNKNOWN = 'it cannot be excluded that a model was trained on them'


def check_no_leak(
    metas: Mapping[Path, Mapping], groups: Sequence[str] | None, harm: str = SCORED
) -> None:
    """Check that no group was in the training of a member.

    What is not known is printed as a warning, by the first rank.

    Args:
        metas: ``meta`` of the checkpoint of each member.
        groups: Group of each image to score, (N,); ``None`` if they have none.
        harm: What a leak does, and how to avoid it.

    Raises:
        ValueError: If a group was; the message names member and group.
    """
    if groups is None:
        warn(f'the images have neither groups nor files: {UNKNOWN}')
        return
    names = sorted(set(groups))
    silent = []
    for checkpoint, meta in metas.items():
        trained = meta.get('training_groups')
        if trained is None:
            silent.append(str(checkpoint))
            continue
        if leaked := groups_with_hash(names, trained.numpy()):
            raise ValueError(
                f'{checkpoint} was trained on {len(leaked)} of the {len(names)} '
                f'groups of these images, the first is {leaked[0]}: {harm}. If these '
                'are other images with the same names, give them other groups in their '
                'index.csv'
            )
    if silent:
        warn(
            'the groups of the training images are not stored in '
            f'{" and ".join(silent)}: {UNKNOWN}'
        )


def warn(text: str) -> None:
    """Print a warning, once for all ranks."""
    if is_main_process():
        print(f'Warning: {text}')


def describe_leak(meta: Mapping, groups: Sequence[str] | None) -> str:
    """Return a sentence if a model was trained on groups of some images, else ''.

    Args:
        meta: ``meta`` of its checkpoint.
        groups: Group of each image, (N,); ``None`` if they have none.
    """
    hashes = meta.get('training_groups')
    if hashes is None or groups is None:
        return ''
    known = groups_with_hash(groups, hashes.numpy())
    if not known:
        return ''
    return (
        f'{len(known)} of the {len(set(groups))} groups (lesions, patients, ...) of '
        f'these images have the names of training groups, such as {known[0]}. If they '
        'are the same, the metrics are too high'
    )


def groups_with_hash(groups: Sequence[str], hashes: Sequence[int]) -> list[str]:
    """Return which of some groups have one of these hashes, sorted."""
    names = sorted(set(groups))
    known = np.isin([hash_groups([name])[0] for name in names], hashes)
    return [name for name, is_known in zip(names, known, strict=True) if is_known]
