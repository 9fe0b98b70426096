"""Compare our balanced samplers with those of torch and PML."""

import itertools
import time
from collections.abc import Callable

import numpy as np
import torch
from _comparison import (
    TINY_START,
    Case,
    Labels,
    Side,
    compare,
    seconds,
    seconds_of_sides,
)
from mmengine.dataset import DefaultSampler
from pytorch_metric_learning.samplers import MPerClassSampler
from torch.utils.data import WeightedRandomSampler

from mmimbal.datasets import ClassBalancedSampler, PKBatchSampler

WEIGHTED = 'torch.utils.data.WeightedRandomSampler'


def draw_ours(size: int) -> Callable:
    """Return a function that draws an epoch, with new permutations each time."""
    sampler = ClassBalancedSampler(Labels(size), seed=0)
    epochs = itertools.count(step=10)  # far apart, so that no permutation is reused
    return lambda: sampler.draw(next(epochs))


def draw_theirs(size: int) -> Callable:
    """Return a function that draws an epoch as WeightedRandomSampler does."""
    labels = Labels(size).labels
    weights = torch.from_numpy(1 / np.bincount(labels)[labels])
    peer = WeightedRandomSampler(weights, size)
    return lambda: torch.multinomial(peer.weights, peer.num_samples, peer.replacement)


def weighted(
    size: int, repeats: int, start: str, keeps_memory: bool = False
) -> tuple[float, float, str, str]:
    """Draw an epoch with both."""
    sides = [
        Side(draw, dict(size=size), keeps_memory) for draw in (draw_ours, draw_theirs)
    ]
    return *seconds_of_sides(sides, 1, repeats, start), WEIGHTED, 's'


def m_per_class(size: int, repeats: int) -> tuple[float, float, str, str]:
    """Draw an epoch of batches of 7 classes with 4 images each."""
    dataset = Labels(size)
    ours = PKBatchSampler(DefaultSampler(dataset, seed=0), 28, 4)
    peer = MPerClassSampler(dataset.labels, 4, 28, size)
    return (
        seconds(lambda: list(ours), repeats),
        seconds(lambda: list(peer), 1),
        'pytorch_metric_learning.samplers.MPerClassSampler',
        's',
    )


def stream(size: int, repeats: int) -> tuple[float, None, str, str]:
    """Draw an epoch from more than 2^24 images, which the peer refuses."""
    dataset = Labels(size)
    try:
        list(WeightedRandomSampler(torch.ones(size), 1))
    except RuntimeError as error:
        print(f'{WEIGHTED} at {size:.0e} images: {error}')
    sampler = ClassBalancedSampler(dataset, seed=0)
    elapsed = seconds(lambda: sampler.draw(0), repeats)
    print(f'{memory(sampler) / size:.1f} bytes an image in arrays of the sampler')
    start = time.perf_counter()
    next(iter(ClassBalancedSampler(dataset, seed=1)))
    first = time.perf_counter() - start
    print(f'{first:.1f} s from construction to the first index')
    return elapsed, None, WEIGHTED, 's'


def memory(sampler: ClassBalancedSampler) -> int:
    """Return the bytes of the arrays of a sampler after an epoch."""
    drawn = sum(images.drawn[1].nbytes for images in sampler.permutations)
    return drawn + sum(images.nbytes for images in sampler.members)


TINY = dict(size=1000, repeats=1)
DRAW, TINY_DRAW = dict(repeats=5, start='spawn'), dict(TINY, start=TINY_START)
KEPT = dict(keeps_memory=True)
CASES = {
    'weighted N=1e6': Case(weighted, dict(DRAW, size=10**6), TINY_DRAW, 4),
    'weighted N=1e7': Case(weighted, dict(DRAW, size=10**7), TINY_DRAW, 4),
    'weighted N=1e6, memory kept': Case(
        weighted, DRAW | dict(size=10**6) | KEPT, TINY_DRAW | KEPT, 4
    ),
    'weighted N=1e7, memory kept': Case(
        weighted, DRAW | dict(size=10**7) | KEPT, TINY_DRAW | KEPT, 4
    ),
    'm-per-class N=1e5': Case(m_per_class, dict(size=10**5, repeats=5), TINY),
    'stream N=2e7': Case(stream, dict(size=2 * 10**7, repeats=3), TINY),
}

if __name__ == '__main__':
    compare(__doc__, CASES)
