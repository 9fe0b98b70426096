"""A head with new weights."""

import torch
from mmengine.device import get_device
from mmpretrain.registry import MODELS
from torch import nn

from mmimbal.datasets.random_state import kept_random_state


def build_fresh_head(head: nn.Module, cfg: dict, seed: int) -> nn.Module:
    """Build a head with new weights that replaces another head.

    Args:
        head: The head to replace.
        cfg: Config of the new head.
        seed: Seed of the weights, the same on all ranks and in a resumed run.

    Returns:
        The new head, on the device that mmengine trains on.

    Raises:
        ValueError: If the new head has another class or other weights, so that the
            final checkpoint would not fit the config.
    """
    fresh = build_seeded(cfg, seed)
    shapes = [
        {key: value.shape for key, value in module.state_dict().items()}
        for module in (head, fresh)
    ]
    if type(fresh) is not type(head) or shapes[0] != shapes[1]:
        raise ValueError(
            f'a single run cannot replace {type(head).__name__} with another head, '
            f'{type(fresh).__name__} with weights {", ".join(shapes[1])}: the final '
            'checkpoint would not fit the config. Run stage 2 with a separate config'
        )
    return fresh.to(get_device())


def build_seeded(cfg: dict, seed: int) -> nn.Module:
    """Build a head whose weights depend only on the seed."""
    with kept_random_state():
        torch.manual_seed(seed)
        head = MODELS.build(cfg)
        head.init_weights()
    return head
