"""Sampling class first, then image."""

import math
from collections.abc import Iterator, Sized

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmimbal.datasets.labels import get_class_counts, get_class_names, get_labels
from mmimbal.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class ClassBalancedSampler(Sampler):
    """Draw every class a fixed number of times per epoch, then images of the class.

    A class of ``n`` images gets a share of the epoch proportional to ``n ** power``
    (https://arxiv.org/abs/1910.09217), rounded by largest remainder. Its images come
    from walks over fresh permutations of the class that go on from epoch to epoch, so
    that none repeats before all others were used. The stream is a function of
    ``(seed, epoch)`` alone; rank ``r`` of ``W`` takes its positions ``r::W``, after
    wrapping it to a length that ``W`` divides.

    Args:
        dataset: Any dataset whose labels :func:`mmimbal.datasets.get_labels` can read.
        power: 0 draws all classes equally often, 0.5 by the square root of their
            counts, 1 as often as they come.
        length: Images per epoch over all ranks; the size of the dataset if ``None``.
        seed: Seed of the stream, the same on all ranks; drawn if ``None``.

    Raises:
        ValueError: If ``power`` is outside 0..1, ``length`` is not positive, or a
            class has no image.
    """

    def __init__(
        self,
        dataset: Sized,
        power: float = 0.0,
        length: int | None = None,
        seed: int | None = None,
    ) -> None:
        if not 0 <= power <= 1:
            raise ValueError(f'power={power} must be between 0 (balanced) and 1')
        if length is not None and length < 1:
            raise ValueError(f'length={length} must be at least 1')
        counts = get_class_counts(dataset)
        if not counts.all():
            names = np.array(get_class_names(dataset))[counts == 0]
            raise ValueError(
                f'cannot balance: no training image of class {", ".join(names)}'
            )
        self.rank, self.world_size = get_dist_info()
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0
        self.length = length or len(dataset)
        self.quotas = largest_remainder(counts.astype(float) ** power, self.length)
        by_class = np.argsort(get_labels(dataset), kind='stable')
        self.members = np.split(by_class, np.cumsum(counts)[:-1])

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose images the next iteration gives."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(self.length / self.world_size)

    def __iter__(self) -> Iterator[int]:
        positions = np.arange(self.rank, len(self) * self.world_size, self.world_size)
        return iter(self.draw(self.epoch)[positions % self.length].tolist())

    def draw(self, epoch: int) -> np.ndarray:
        """Return the dataset indices of an epoch over all ranks, (length,), int64."""
        drawn = [
            images[walk(len(images), epoch * quota, quota, (self.seed, label))]
            for label, (images, quota) in enumerate(
                zip(self.members, self.quotas, strict=True)
            )
        ]
        order = np.random.default_rng((self.seed, len(self.members), epoch))
        return order.permutation(np.concatenate(drawn))


def largest_remainder(weights: np.ndarray, total: int) -> np.ndarray:
    """Split ``total`` into integers proportional to weights, (K,).

    Each share is rounded down, and what remains goes to the largest remainders,
    earlier classes first.
    """
    shares = weights / weights.sum() * total
    quotas = np.floor(shares).astype(np.int64)
    order = np.argsort(quotas - shares, kind='stable')
    quotas[order[: total - quotas.sum()]] += 1
    return quotas


def walk(size: int, start: int, length: int, seed: tuple[int, ...]) -> np.ndarray:
    """Return a stretch of an endless walk over fresh permutations of ``range(size)``.

    Args:
        size: How many items there are.
        start: Position in the walk, >= 0.
        length: How many positions to return.
        seed: Of the walk.

    Returns:
        Items, (length,), int64. Positions ``k * size`` to ``(k + 1) * size`` of the
        walk hold every item once.
    """
    passes = max(1, 4096 // size)  # permutations drawn at once: tiny classes have many
    block = passes * size
    first, last = start // block, (start + length - 1) // block
    drawn = [
        np.random.default_rng((*seed, number))
        .permuted(np.tile(np.arange(size), (passes, 1)), axis=1)
        .ravel()
        for number in range(first, last + 1)
    ]
    stretch = np.concatenate(drawn) if drawn else np.empty(0, np.int64)
    return stretch[start - first * block :][:length]
