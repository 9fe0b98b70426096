"""A head with new weights."""

import torch
from mmengine.device import get_device
from mmpretrain.registry import MODELS
from torch import nn


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
