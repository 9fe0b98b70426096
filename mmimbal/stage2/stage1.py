"""Stage 1 as stage 2 needs it: its checkpoint found, its backbone loaded."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from mmengine.runner.checkpoint import CheckpointLoader
from torch import nn

from mmimbal.files.checkpoint import safe_loading
from mmimbal.stage2.freezing import FROZEN_PARTS


def find_checkpoint(path: str) -> Path:
    """Return the checkpoint that a path means.

    Args:
        path: A checkpoint, or a work dir, whose best checkpoint is taken: the newest,
            since every later best is better.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If the work dir keeps the best by several metrics.
    """
    found = Path(path).expanduser()
    if found.is_file():
        return found
    best = sorted(found.glob('best_*.pth'), key=lambda file: file.stat().st_mtime)
    if not best:
        what = 'has no best_*.pth' if found.is_dir() else 'does not exist'
        raise FileNotFoundError(f'no checkpoint: {path} {what}')
    metrics = {re.sub(r'_(epoch|iter)_\d+$', '', file.stem) for file in best}
    if len(metrics) > 1:
        raise ValueError(
            f'{path} keeps the best checkpoints by several metrics: '
            f'{", ".join(file.name for file in best)}. Name one of them'
        )
    return best[-1]


def find_stage1(path: str) -> Path:
    """Return the checkpoint of stage 1 that a path means; see :func:`find_checkpoint`.

    Raises:
        FileNotFoundError: If there is none; the message gives a command to make it.
        ValueError: If the work dir keeps the best by several metrics.
    """
    try:
        return find_checkpoint(path)
    except FileNotFoundError as error:
        folder = Path(path).parent if path.endswith('.pth') else Path(path)
        where = (
            f'configs/{folder.relative_to("work_dirs")}.py'
            if folder.is_relative_to('work_dirs')
            else f'CONFIG --work-dir {folder}'
        )
        raise FileNotFoundError(
            f'stage 2 needs stage 1, but there is {error}. Train it with: python '
            f'tools/train.py {where}, or name another checkpoint or work dir with '
            '--stage1'
        ) from None


def load_stage1(model: nn.Module, checkpoint: Path) -> dict[str, torch.Tensor]:
    """Load the backbone and neck of a classifier.

    A head that goes on from that of stage 1 is given its weights by a call of
    ``load_stage1``; any other starts afresh.

    Args:
        model: An MMPretrain classifier.
        checkpoint: File with a ``state_dict`` of the same backbone and neck.

    Returns:
        The weights of the whole model of stage 1.

    Raises:
        ValueError: If a layer is missing, unexpected or of another shape; the message
            names the layers.
    """
    with safe_loading():
        loaded = CheckpointLoader.load_checkpoint(str(checkpoint), 'cpu')
    everything = loaded.get('state_dict', loaded)
    state = {k: v for k, v in everything.items() if k.startswith(FROZEN_PARTS)}
    wanted = {
        key: value
        for key, value in model.state_dict().items()
        if key.startswith(FROZEN_PARTS)
    }
    problems = {
        'missing in the checkpoint': wanted.keys() - state.keys(),
        'not in the model': state.keys() - wanted.keys(),
        'of another shape': {
            key
            for key in wanted.keys() & state.keys()
            if wanted[key].shape != state[key].shape
        },
    }
    if any(problems.values()):
        found = '; '.join(
            f'{len(keys)} {what} ({", ".join(sorted(keys)[:3])}, ...)'
            for what, keys in problems.items()
            if keys
        )
        raise ValueError(
            f'{checkpoint} was trained with another backbone or neck: {found}. Use '
            'the same model base in both stages'
        )
    model.load_state_dict(state, strict=False)
    if hasattr(model.head, 'load_stage1'):
        model.head.load_stage1(head_of(everything))
    return everything


def head_of(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the state of the head from that of a whole model."""
    return {
        key.removeprefix('head.'): value
        for key, value in state.items()
        if key.startswith('head.')
    }
