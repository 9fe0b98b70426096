"""Sampling class first, then image."""

import math
from collections.abc import Iterator, Sized

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmimbal.datasets.labels_and_groups import (
    count_classes,
    get_class_names,
    get_labels,
)
from mmimbal.datasets.samplers.passes import shuffled_passes
from mmimbal.datasets.samplers.shares import (
    at_least_one,
    effective_shares,
    largest_remainder,
    power_shares,
)
from mmimbal.registry import DATA_SAMPLERS

BLOCK = 65_536  # images handed out at once
LONGEST = 10**9  # epoch that NumPy's hypergeometric draws from


@DATA_SAMPLERS.register_module()
class ClassBalancedSampler(Sampler):
    """Draw every class a fixed number of times per epoch, then images of the class.

    A class of ``n`` images gets a share of the epoch proportional to ``n ** power``
    (https://arxiv.org/abs/1910.09217), rounded by largest remainder, but one draw at
    least if there are enough for all classes. Its images come from walks over fresh
    permutations of the class that go on from epoch to epoch, so that none repeats
    before all others were used. The stream is a function of ``(seed, epoch)`` and of
    the class weights set so far; rank ``r`` of ``W`` takes its positions ``r::W``,
    after wrapping it to a length that ``W`` divides. It is drawn in blocks while it is
    used.

    Args:
        dataset: Any dataset whose labels :func:`mmimbal.datasets.get_labels` can read.
        power: 0 draws all classes equally often, 0.5 by the square root of their
            counts, 1 as often as they come, -1 the rarest most often (BBN).
        end_power: Where to move to over ``epochs`` (progressively balanced sampling,
            same paper): shares are mixed linearly from ``power`` to ``end_power``.
        epochs: Over how many epochs; later ones stay at ``end_power``.
        effective_number: The beta of https://arxiv.org/abs/1901.05555, in [0, 1), to
            weight images by the effective number of their class, instead of ``power``.
        length: Images per epoch over all ranks; the size of the dataset if ``None``.
        seed: Seed of the stream, the same on all ranks; drawn if ``None``.

    Raises:
        TypeError: If the dataset has no labels, or several per image.
        ValueError: If an option is outside its range, only one of ``end_power`` and
            ``epochs`` is given, ``effective_number`` beside a power, or a class has no
            image.
    """

    def __init__(
        self,
        dataset: Sized,
        power: float = 0.0,
        end_power: float | None = None,
        epochs: int | None = None,
        effective_number: float | None = None,
        length: int | None = None,
        seed: int | None = None,
    ) -> None:
        _check_options(power, end_power, epochs, effective_number, length)
        labels, names = get_labels(dataset), get_class_names(dataset)
        self.counts = count_classes(labels, names)
        if not self.counts.all():
            empty = ', '.join(np.array(names)[self.counts == 0])
            raise ValueError(f'cannot balance: no training image of class {empty}')
        self.dataset = dataset
        self.rank, self.world_size = get_dist_info()
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0
        self.first_epoch = 0  # the one that moving to end_power counts from
        self.length = length or len(dataset)
        if effective_number is None:
            self.shares = power_shares(self.counts, power)
        else:
            self.shares = effective_shares(self.counts, effective_number)
        self.end_shares = (
            self.shares if end_power is None else power_shares(self.counts, end_power)
        )
        self.epochs = epochs or 1
        # Class weights in force from an epoch on, oldest first.
        self.weights: list[tuple[int, list[float]]] = [(0, [1.0] * len(names))]
        self.members = split_by_label(labels, self.counts)
        self.passes = [
            shuffled_passes(images, (self.seed, label))
            for label, images in enumerate(self.members)
        ]

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose images the next iteration gives."""
        self.epoch = epoch

    def set_class_weights(self, weights: np.ndarray, epoch: int) -> None:
        """Multiply the shares of classes by weights from an epoch on.

        Args:
            weights: (K,), all > 0.
            epoch: First epoch they hold for; weights of later epochs are dropped.

        Raises:
            ValueError: If there is not one positive weight for each class.
        """
        weights = np.asarray(weights, float)
        if weights.shape != self.counts.shape or not (weights > 0).all():
            raise ValueError(
                f'{len(self.counts)} positive class weights expected, got {weights}'
            )
        self.weights = [past for past in self.weights if past[0] < epoch]
        self.weights.append((epoch, weights.tolist()))

    def quotas(self, epoch: int) -> np.ndarray:
        """Return how often each class is drawn in an epoch over all ranks, (K,)."""
        progress = min(1.0, max(0, epoch - self.first_epoch) / self.epochs)
        shares = (1 - progress) * self.shares + progress * self.end_shares
        weights = next(w for first, w in reversed(self.weights) if first <= epoch)
        quotas = largest_remainder(shares * np.asarray(weights), self.length)
        return at_least_one(quotas)

    def __len__(self) -> int:
        return math.ceil(self.length / self.world_size)

    def __iter__(self) -> Iterator[int]:
        yield from split_by_rank(
            self.blocks(self.epoch), self.length, self.rank, self.world_size
        )

    def draw(self, epoch: int) -> np.ndarray:
        """Return the dataset indices of an epoch over all ranks, (length,)."""
        return np.concatenate(list(self.blocks(epoch)))

    def blocks(self, epoch: int) -> Iterator[np.ndarray]:
        """Return the dataset indices of an epoch over all ranks, a block at a time.

        How many of a block fall to each class is drawn without replacement from what
        is left of the quotas, so that the epoch is shuffled as a whole.
        """
        random = np.random.default_rng((self.seed, len(self.counts), epoch))
        positions = sum(map(self.quotas, range(epoch)), np.zeros_like(self.counts))
        left = self.quotas(epoch)
        labels_of_blocks = np.arange(len(left), dtype=np.uint16)
        while total := left.sum():
            taken = random.multivariate_hypergeometric(left, min(BLOCK, total))
            drawn = [
                images.take(position, count)
                for images, position, count in zip(
                    self.passes, positions, taken, strict=True
                )
            ]
            positions += taken
            left -= taken
            # Classes are shuffled, and each keeps the order of its walk.
            labels = random.permutation(np.repeat(labels_of_blocks, taken))
            block = np.empty(len(labels), drawn[0].dtype)
            block[np.argsort(labels, kind='stable')] = np.concatenate(drawn)
            yield block


def _check_options(power, end_power, epochs, effective_number, length) -> None:
    for name, value in (('power', power), ('end_power', end_power)):
        if value is not None and not -1 <= value <= 1:
            raise ValueError(
                f'{name}={value} must be between -1 (reversed) and 1 (natural)'
            )
    if (end_power is None) != (epochs is None) or (epochs is not None and epochs < 1):
        raise ValueError(
            f'end_power={end_power} and epochs={epochs}: progressive sampling needs '
            'both, and at least one epoch'
        )
    if effective_number is not None and (power or end_power is not None):
        raise ValueError(
            f'effective_number={effective_number} takes the place of power={power} and '
            f'end_power={end_power}: give one of them'
        )
    if effective_number is not None and not 0 <= effective_number < 1:
        raise ValueError(f'effective_number={effective_number} must be in [0, 1)')
    if length is not None and not 1 <= length < LONGEST:
        raise ValueError(f'length={length} must be at least 1 and below {LONGEST:,}')


def split_by_label(labels: np.ndarray, counts: np.ndarray) -> list[np.ndarray]:
    """Return the indices of each class, views of one array of 4 bytes an image.

    8 bytes where there are more than 2^31 images.
    """
    size = np.int32 if len(labels) < 2**31 else np.int64
    narrow = np.uint16 if len(counts) <= 2**16 else np.int64  # radix sort
    order = np.argsort(labels.astype(narrow), kind='stable').astype(size)
    return np.split(order, np.cumsum(counts)[:-1])


def split_by_rank(
    blocks: Iterator[np.ndarray], length: int, rank: int, world_size: int
) -> Iterator[int]:
    """Yield the positions ``rank::world_size`` of a stream that comes in blocks.

    The stream is wrapped to a length that ``world_size`` divides.
    """
    padding = -length % world_size
    start, position = [], 0
    for block in blocks:
        if len(start) < padding:
            start.extend(block[: padding - len(start)].tolist())
        yield from block[(rank - position) % world_size :: world_size].tolist()
        position += len(block)
    while len(start) < padding:  # a stream shorter than the number of ranks
        start = (start * padding)[:padding]
    yield from start[(rank - position) % world_size :: world_size]
