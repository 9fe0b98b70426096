"""A hash of weights, which tells whether two files hold the same model."""

import hashlib
from collections.abc import Mapping

import torch


def state_hash(state: Mapping[str, torch.Tensor]) -> str:
    """Return a hash of a state dict in any order: 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        digest.update(f'{name} {value.dtype} {tuple(value.shape)}'.encode())
        digest.update(value.view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
