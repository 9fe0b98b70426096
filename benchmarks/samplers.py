"""Compare our balanced samplers with those of torch and PML.

Rows "draw" draw all images of an epoch at once: ours with fixed numbers of each class
and without replacement, the peer, `torch.multinomial` as WeightedRandomSampler calls
it, with replacement. Rows "iterate" go through the samplers as a loader does, by images
or by batches. Epochs are new each time.
"""

import collections
import itertools
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from _comparison import (
    TINY_START,
    Case,
    Labels,
    Side,
    compare,
    seconds,
    seconds_in_turn,
    seconds_of_sides,
)
from mmengine.dataset import DefaultSampler
from pytorch_metric_learning.samplers import MPerClassSampler
from torch.utils.data import BatchSampler, Sampler, WeightedRandomSampler

from mmimbal.datasets import ClassBalancedSampler, PKBatchSampler

WEIGHTED = 'torch.utils.data.WeightedRandomSampler'


def new_epochs() -> Iterator[int]:
    """Return epochs far apart, so that no permutation is used again."""
    return itertools.count(step=10)


def draw_ours(size: int) -> Callable:
    """Return a function that draws an epoch."""
    sampler = ClassBalancedSampler(Labels(size), seed=0)
    epochs = new_epochs()
    return lambda: sampler.draw(next(epochs))


def peer_of(size: int) -> WeightedRandomSampler:
    """Return the sampler of torch."""
    labels = Labels(size).labels
    return WeightedRandomSampler(
        torch.from_numpy(1 / np.bincount(labels)[labels]), size
    )


def draw_theirs(size: int) -> Callable:
    """Return a function that draws an epoch as WeightedRandomSampler does."""
    peer = peer_of(size)
    return lambda: torch.multinomial(peer.weights, peer.num_samples, peer.replacement)


def iterate_ours(size: int) -> Callable:
    """Return a function that goes through an epoch."""
    return going_through(ClassBalancedSampler(Labels(size), seed=0))


def iterate_theirs(size: int) -> Callable:
    """Return a function that goes through an epoch of WeightedRandomSampler."""
    return partial(exhaust, peer_of(size))


def going_through(batches: Sampler, sampler: Sampler | None = None) -> Callable:
    """Return a function that goes through the next epoch of a sampler."""
    epochs = new_epochs()

    def go() -> None:
        (sampler or batches).set_epoch(next(epochs))
        exhaust(batches)

    return go


def exhaust(sampler: Sampler) -> None:
    """Go through a sampler, as fast as Python can."""
    collections.deque(sampler, maxlen=0)


def weighted(
    ours: Callable,
    theirs: Callable,
    peer_name: str,
    size: int,
    repeats: int,
    start: str,
    keeps_memory: bool = False,
) -> tuple[float, float, str, str]:
    """Draw, or go through, an epoch with both."""
    sides = [Side(draw, dict(size=size), keeps_memory) for draw in (ours, theirs)]
    return *seconds_of_sides(sides, 1, repeats, start), peer_name, 's'


def m_per_class(size: int, repeats: int) -> tuple[float, float, str, str]:
    """Go through an epoch of batches of 7 classes with 4 images each."""
    dataset = Labels(size)
    sampler = DefaultSampler(dataset, seed=0)
    ours = PKBatchSampler(sampler, 28, 4)
    peer = MPerClassSampler(dataset.labels, 4, 28, size)
    batches = BatchSampler(peer, 28, drop_last=False)
    times = seconds_in_turn(
        [going_through(ours, sampler), partial(exhaust, batches)], repeats
    )
    return *times, 'pytorch_metric_learning.samplers.MPerClassSampler', 's'


def stream(size: int, repeats: int) -> tuple[float, None, str, str]:
    """Draw an epoch from more than 2^24 images, which the peer refuses."""
    dataset = Labels(size)
    try:
        list(WeightedRandomSampler(torch.ones(size), 1))
    except RuntimeError as error:
        print(f'{WEIGHTED} at {size:.0e} images: {error}')
    sampler = ClassBalancedSampler(dataset, seed=0)
    epochs = new_epochs()
    elapsed = seconds(lambda: sampler.draw(next(epochs)), repeats)
    print(f'{memory(sampler) / size:.1f} bytes an image in arrays of the sampler')
    start = time.perf_counter()
    next(iter(ClassBalancedSampler(dataset, seed=1)))
    first = time.perf_counter() - start
    print(f'{first:.1f} s from construction to the first index')
    return elapsed, None, 'torch refuses more than 2^24 images', 's'


def memory(sampler: ClassBalancedSampler) -> int:
    """Return the bytes of the arrays of a sampler after an epoch."""
    drawn = sum(images.drawn[1].nbytes for images in sampler.permutations)
    return drawn + sum(images.nbytes for images in sampler.members)


TINY = dict(size=1000, repeats=1)
DRAW, TINY_DRAW = dict(repeats=5, start='spawn'), dict(TINY, start=TINY_START)
KEPT = dict(keeps_memory=True)
DRAWN = partial(weighted, draw_ours, draw_theirs, 'torch.multinomial')
ITERATED = partial(weighted, iterate_ours, iterate_theirs, WEIGHTED)
CASES = {
    **{
        f'draw N={name}{kept}': Case(
            DRAWN, DRAW | dict(size=size) | memory, TINY_DRAW | memory, 4
        )
        for kept, memory in (('', {}), (', memory kept', KEPT))
        for name, size in (('1e6', 10**6), ('1e7', 10**7))
    },
    'iterate N=1e6': Case(ITERATED, DRAW | dict(size=10**6), TINY_DRAW),
    'iterate m-per-class N=1e5': Case(m_per_class, dict(size=10**5, repeats=3), TINY),
    'draw N=2e7': Case(stream, dict(size=2 * 10**7, repeats=3), TINY),
}

if __name__ == '__main__':
    compare(__doc__, CASES)
