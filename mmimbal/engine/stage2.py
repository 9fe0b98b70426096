"""The parts of stage 2: finding and loading stage 1, freezing, a fresh head."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MethodType

import torch
from mmengine.device import get_device
from mmengine.runner.checkpoint import CheckpointLoader
from mmpretrain.registry import MODELS
from torch import nn

FROZEN_PARTS = ('backbone', 'neck')


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
    loaded = CheckpointLoader.load_checkpoint(str(checkpoint), map_location='cpu')
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


def freeze(module: nn.Module, update_bn: bool) -> None:
    """Stop a module from learning, whatever backbone it is.

    Args:
        module: A backbone or neck.
        update_bn: Whether batch norm layers go on updating their statistics. If
            not, the module stays in eval mode even when ``train()`` is called, as
            mmengine does each epoch, so that no buffer changes by a bit.
    """
    for parameter in module.parameters():
        parameter.requires_grad = False
        parameter.grad = None
    if not update_bn:
        module.train = MethodType(_stay_in_eval, module)
        module.eval()


def _stay_in_eval(module: nn.Module, mode: bool = True) -> nn.Module:
    return type(module).train(module, False)


def build_fresh_head(head: nn.Module, cfg: dict, seed: int) -> nn.Module:
    """Build a head with new weights that takes the place of another.

    Args:
        head: The head to replace.
        cfg: Config of the new one.
        seed: Of the weights, so that all ranks and a resumed run draw the same.

    Returns:
        The new head, on the device that mmengine trains on.

    Raises:
        ValueError: If it is of another class or has other weights, so that the final
            checkpoint would not fit the config.
    """
    fresh = build_seeded(cfg, seed)
    shapes = [
        {key: value.shape for key, value in each.state_dict().items()}
        for each in (head, fresh)
    ]
    if type(fresh) is not type(head) or shapes[0] != shapes[1]:
        raise ValueError(
            f'a single run cannot replace {type(head).__name__} by another head, '
            f'{type(fresh).__name__} with weights {", ".join(shapes[1])}: the final '
            'checkpoint would not fit the config. Run stage 2 from a config of its own'
        )
    return fresh.to(get_device())


def build_seeded(cfg: dict, seed: int) -> nn.Module:
    """Build a head whose weights depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = MODELS.build(cfg)
        head.init_weights()
    return head
