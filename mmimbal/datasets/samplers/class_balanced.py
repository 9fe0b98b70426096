"""A sampler with a fixed share of each class."""

import math
from collections.abc import Iterator, Sized
from itertools import chain

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmimbal.datasets.labels_and_groups import (
    check_no_class_is_empty,
    count_classes,
    get_class_names,
    get_labels,
    without_repeats,
)
from mmimbal.datasets.samplers.permutations import endless_permutations
from mmimbal.datasets.samplers.shares import (
    at_least_one,
    effective_shares,
    largest_remainder,
    power_shares,
)
from mmimbal.registry import DATA_SAMPLERS

BLOCK = 65_536  # images drawn at once
MAX_LENGTH = 10**9  # limit of NumPy's multivariate_hypergeometric


@DATA_SAMPLERS.register_module()
class ClassBalancedSampler(Sampler):
    """Draw each class a fixed number of times per epoch, then images of the class.

    A class of ``n`` images gets a share of the epoch proportional to ``n ** power``
    (https://arxiv.org/abs/1910.09217). Shares are rounded by largest remainder; each
    class is drawn at least once if the epoch is long enough. Images of a class are
    drawn without replacement, also across epochs: none repeats before all others were
    used. The order depends on ``(seed, epoch)`` and on the class weights. Rank ``r`` of
    ``W`` takes positions ``r::W``, padded from the start to equal length. Images are
    drawn in blocks during the epoch.

    Args:
        dataset: Any dataset with labels that :func:`mmimbal.datasets.get_labels` reads.
        power: 0 for class-balanced, 0.5 for square-root, 1 for natural and -1 for
            reversed sampling (BBN, https://arxiv.org/abs/1912.02413).
        end_power: Final power of progressively balanced sampling (same paper as above).
            Shares are mixed linearly from ``power`` to ``end_power``.
        epochs: Number of epochs until ``end_power``; later epochs stay there.
        effective_number: The beta of https://arxiv.org/abs/1901.05555, in [0, 1).
            Images are weighted by the effective number of their class; ``power`` is
            then not used.
        length: Images per epoch over all ranks; the size of the dataset if ``None``.
        seed: Seed, equal on all ranks; a random one if ``None``.

    Raises:
        TypeError: If the dataset has no labels, or several per image.
        ValueError: If an option is outside its range, only one of ``end_power`` and
            ``epochs`` is given, ``effective_number`` and a power are given, or a class
            has no image.
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
        images = without_repeats(dataset)
        labels, names = get_labels(images), get_class_names(images)
        self.counts = count_classes(labels, names)
        check_no_class_is_empty(self.counts, names)
        self.dataset = dataset
        self.rank, self.world_size = get_dist_info()
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0
        self.first_epoch = 0  # where progressive sampling starts
        self.length = length or len(dataset)
        if effective_number is None:
            self.shares = power_shares(self.counts, power)
        else:
            self.shares = effective_shares(self.counts, effective_number)
        self.end_shares = (
            self.shares if end_power is None else power_shares(self.counts, end_power)
        )
        self.epochs = epochs or 1
        # (first epoch, class weights), oldest first.
        self.weights: list[tuple[int, list[float]]] = [(0, [1.0] * len(names))]
        self.members = split_by_label(labels, self.counts)
        self.permutations = [
            endless_permutations(images, (self.seed, label))
            for label, images in enumerate(self.members)
        ]

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that the next iteration draws."""
        self.epoch = epoch

    def set_class_weights(self, weights: np.ndarray, epoch: int) -> None:
        """Multiply the shares of the classes by weights, from an epoch on.

        Args:
            weights: (K,), all > 0.
            epoch: First epoch with these weights. Weights set for later epochs are
                removed.

        Raises:
            ValueError: If there is not one positive weight per class.
        """
        weights = np.asarray(weights, float)
        if weights.shape != self.counts.shape or not (weights > 0).all():
            raise ValueError(
                f'{len(self.counts)} positive class weights expected, got {weights}'
            )
        self.weights = [past for past in self.weights if past[0] < epoch]
        self.weights.append((epoch, weights.tolist()))

    def quotas(self, epoch: int) -> np.ndarray:
        """Return the number of draws per class in an epoch over all ranks, (K,)."""
        progress = min(1.0, max(0, epoch - self.first_epoch) / self.epochs)
        shares = (1 - progress) * self.shares + progress * self.end_shares
        weights = next(w for first, w in reversed(self.weights) if first <= epoch)
        quotas = largest_remainder(shares * np.asarray(weights), self.length)
        return at_least_one(quotas)

    def __len__(self) -> int:
        return math.ceil(self.length / self.world_size)

    def __iter__(self) -> Iterator[int]:
        parts = split_by_rank(
            self.blocks(self.epoch), self.length, self.rank, self.world_size
        )
        return chain.from_iterable(parts)

    def draw(self, epoch: int) -> np.ndarray:
        """Return the dataset indices of an epoch over all ranks, (length,)."""
        return np.concatenate(list(self.blocks(epoch)))

    def blocks(self, epoch: int) -> Iterator[np.ndarray]:
        """Yield the dataset indices of an epoch over all ranks, block by block.

        The class counts of a block are drawn without replacement from the remaining
        quotas. This shuffles the classes over the complete epoch.
        """
        random = np.random.default_rng((self.seed, len(self.counts), epoch))
        positions = sum(map(self.quotas, range(epoch)), np.zeros_like(self.counts))
        remaining = self.quotas(epoch)
        classes = np.arange(len(remaining))
        while total := remaining.sum():
            taken = random.multivariate_hypergeometric(remaining, min(BLOCK, total))
            drawn = [
                images.take(position, count)
                for images, position, count in zip(
                    self.permutations, positions, taken, strict=True
                )
            ]
            positions += taken
            remaining -= taken
            # Shuffle the classes, but keep the drawn order of each class.
            labels = random.permutation(np.repeat(classes, taken))
            block = np.empty(len(labels), drawn[0].dtype)
            block[stable_argsort(labels, len(classes))] = np.concatenate(drawn)
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
            f'effective_number={effective_number} excludes power={power} and '
            f'end_power={end_power}: set only one of them'
        )
    if effective_number is not None and not 0 <= effective_number < 1:
        raise ValueError(f'effective_number={effective_number} must be in [0, 1)')
    if length is not None and not 1 <= length < MAX_LENGTH:
        raise ValueError(f'length={length} must be at least 1 and below {MAX_LENGTH:,}')


def split_by_label(labels: np.ndarray, counts: np.ndarray) -> list[np.ndarray]:
    """Return the dataset indices of each class, as views of one array.

    It takes 4 bytes per image, or 8 for more than 2^31 images.
    """
    index_type = np.int32 if len(labels) < 2**31 else np.int64
    order = stable_argsort(labels, len(counts)).astype(index_type)
    return np.split(order, np.cumsum(counts)[:-1])


def stable_argsort(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return the indices that sort labels below ``classes``, equal ones in order."""
    # NumPy sorts 16-bit integers by radix sort.
    label_type = np.uint16 if classes <= 2**16 else np.int64
    return np.argsort(labels.astype(label_type), kind='stable')


def split_by_rank(
    blocks: Iterator[np.ndarray], length: int, rank: int, world_size: int
) -> Iterator[list[int]]:
    """Yield the positions ``rank::world_size`` of indices, block by block.

    They are padded from the start to a length that is a multiple of ``world_size``.
    """
    padding = -length % world_size
    start, position = [], 0
    for block in blocks:
        if len(start) < padding:
            start.extend(block[: padding - len(start)].tolist())
        yield block[(rank - position) % world_size :: world_size].tolist()
        position += len(block)
    while len(start) < padding:  # fewer indices than ranks
        start = (start * padding)[:padding]
    yield start[(rank - position) % world_size :: world_size]
