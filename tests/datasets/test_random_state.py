"""Random numbers that are drawn inside of a block change none after it."""

import random

import numpy as np
import pytest
import torch

from mmimbal.datasets.random_state import kept_random_state


def draw() -> tuple[float, float, float]:
    return random.random(), np.random.rand(), torch.rand(1).item()


@pytest.mark.parametrize('fails', [False, True])
def test_all_states_are_as_before(fails):
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = draw()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    try:
        with kept_random_state():
            draw()
            if fails:
                raise KeyError
    except KeyError:
        pass
    assert draw() == expected


@pytest.mark.parametrize('has_begun', [True, False])
def test_only_a_gpu_that_this_process_uses_is_asked(monkeypatch, has_begun):
    """In a process forked from one that uses it, any call to the GPU is an error."""
    asked = []

    def current_device():
        if not has_begun:
            raise RuntimeError('Cannot re-initialize CUDA in forked subprocess')
        return 3

    class NoState:
        def __init__(self, devices):
            asked.extend(devices)

        def __enter__(self):
            return None

        def __exit__(self, *error):
            return None

    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'is_initialized', lambda: has_begun)
    monkeypatch.setattr(torch.cuda, 'current_device', current_device)
    monkeypatch.setattr(torch.random, 'fork_rng', NoState)
    with kept_random_state():
        pass
    assert asked == [3] * has_begun
