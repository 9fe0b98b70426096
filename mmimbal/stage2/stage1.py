"""Find the checkpoint of stage 1, and load its backbone and neck."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import print_log
from mmengine.runner.checkpoint import CheckpointLoader
from torch import nn
from torch.utils.data import Dataset

from mmimbal.datasets.labels_and_groups import check_trained_classes
from mmimbal.files.checkpoint import load_from_local, safe_loading
from mmimbal.files.work_dir import find_checkpoint, last_checkpoint
from mmimbal.stage2.freezing import FROZEN_PARTS

CONFIGS = Path(__file__).resolve().parents[1] / '.mim' / 'configs'


def find_stage1(path: str) -> Path:
    """Return the checkpoint of stage 1.

    Args:
        path: As for :func:`mmimbal.files.work_dir.find_checkpoint`.

    Raises:
        FileNotFoundError: If there is none; the message has the command to train it.
        ValueError: If the work dir has best checkpoints by several metrics.
    """
    try:
        return find_checkpoint(path)
    except FileNotFoundError as error:
        folder = Path(path).parent if path.endswith('.pth') else Path(path)
        how = (
            'tools/train.py with the experiment without its last word, or with '
            f'CONFIG --work-dir {folder}'
        )
        if folder.is_relative_to('work_dirs'):
            leaf = f'{folder.relative_to("work_dirs")}.py'
            if (CONFIGS / leaf).is_file():
                how = f'python tools/train.py configs/{leaf}'
        raise FileNotFoundError(
            f'stage 2 needs stage 1, but there is {error}. Train it first: {how}. To '
            'use another checkpoint or work dir: --stage1 PATH'
        ) from None


def load_stage1(
    model: nn.Module, checkpoint: Path, dataset: Dataset | None = None
) -> dict[str, torch.Tensor]:
    """Load the weights of stage 1 into the backbone and neck of a classifier.

    If the head has a method ``load_stage1``, it is called with the weights of the head
    of stage 1. Other heads keep their new weights.

    Args:
        model: An MMPretrain classifier.
        checkpoint: File with a ``state_dict`` of the same backbone and neck.
        dataset: Training images. Stage 1 must have had their classes if its classifier
            is used, by the head or because there is no head.

    Returns:
        The state dict of the complete model of stage 1.

    Raises:
        ValueError: If a layer is missing, unexpected or has another shape; the message
            names the layers. Also if stage 1 had other classes.
    """
    with safe_loading():
        loaded = CheckpointLoader.load_checkpoint(str(checkpoint), 'cpu')
    stage1 = loaded.get('state_dict', loaded)
    state = {k: v for k, v in stage1.items() if k.startswith(FROZEN_PARTS)}
    wanted = {
        key: value
        for key, value in model.state_dict().items()
        if key.startswith(FROZEN_PARTS)
    }
    problems = {
        'missing in the checkpoint': wanted.keys() - state.keys(),
        'not in the model': state.keys() - wanted.keys(),
        'with another shape': {
            key
            for key in wanted.keys() & state.keys()
            if wanted[key].shape != state[key].shape
        },
    }
    if any(problems.values()):
        reasons = '; '.join(
            f'{len(keys)} {problem} ({", ".join(sorted(keys)[:3])}, ...)'
            for problem, keys in problems.items()
            if keys
        )
        raise ValueError(
            f'{checkpoint} was trained with another backbone or neck: {reasons}. Use '
            'the same model base in both stages'
        )
    model.load_state_dict(state, strict=False)
    uses_classifier = model.head is None or hasattr(model.head, 'load_stage1')
    if dataset is not None and uses_classifier:
        check_trained_classes(loaded.get('meta', {}), dataset, checkpoint)
    if hasattr(model.head, 'load_stage1'):
        model.head.load_stage1(head_of(stage1))
    meta = loaded.get('meta', {})
    for warning in (
        warning_of_adjusting_twice(model.head, meta.get('rebalanced_by')),
        warning_of_early_end(checkpoint, meta),
    ):
        if warning:
            print_log(warning, logger='current', level=logging.WARNING)
    return stage1


def warning_of_early_end(checkpoint: Path, meta: Mapping) -> str:
    """Return a warning if stage 1 has not done all of its epochs.

    Args:
        checkpoint: That of stage 1; the best one may be of an early epoch. Nothing is
            known of one that lies alone, or has another name.
        meta: ``meta`` of it.
    """
    epochs = meta.get('numbers', {}).get('train_cfg.max_epochs')
    last = last_checkpoint(checkpoint.parent)
    is_of_run = re.fullmatch(r'(best_.*_)?epoch_\d+', checkpoint.stem)
    number = re.fullmatch(r'epoch_(\d+)', last.stem) if last and is_of_run else None
    if not epochs or not number:
        return ''
    done = max(meta.get('epoch', 0), int(number[1]))
    if done >= epochs:
        return ''
    return (
        f'{checkpoint} is of a training that has done {done} of {epochs} epochs: it '
        'was stopped, ended early, or goes on still'
    )


def warning_of_adjusting_twice(head: nn.Module | None, loss: str | None) -> str:
    """Return a warning if a head adjusts a classifier that was trained rebalanced.

    Args:
        head: Head of stage 2.
        loss: Name of the loss of stage 1 that uses the class counts, if any.
    """
    if not (loss and getattr(head, 'adjusts_logits', False)):
        return ''
    return (
        f'Stage 1 was trained with {loss}, which uses the class counts, and '
        f'{type(head).__name__} adjusts its logits by them again: together they '
        'rebalance twice. Set model.head.tau=0, or use a stage 1 with plain '
        'cross-entropy'
    )


def training_groups_of(stage1: str) -> np.ndarray:
    """Return the hashes of the groups that stage 1 was trained on, (G,); perhaps none.

    Args:
        stage1: As for :func:`mmimbal.files.work_dir.find_checkpoint`.
    """
    meta = load_from_local(find_checkpoint(stage1), 'cpu').get('meta', {})
    hashes = meta.get('training_groups', torch.zeros(0, dtype=torch.long))
    return hashes.numpy()


def head_of(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the state dict of the head from that of the complete model."""
    return {
        key.removeprefix('head.'): value
        for key, value in state.items()
        if key.startswith('head.')
    }
