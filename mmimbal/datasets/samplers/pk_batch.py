"""Batches of P classes with K images each."""

import math
from collections.abc import Iterator
from itertools import islice, repeat

import numpy as np
from mmengine.dist import get_dist_info
from mmengine.logging import print_log
from torch.utils.data import DataLoader, Sampler

from mmimbal.datasets.labels_and_groups import (
    count_classes,
    get_class_names,
    get_groups,
    get_labels,
    occurrence,
)
from mmimbal.datasets.samplers.class_balanced import split_by_label
from mmimbal.datasets.samplers.passes import Passes, shuffled_passes
from mmimbal.registry import DATA_SAMPLERS

BLOCK = 512  # batches drawn at once


@DATA_SAMPLERS.register_module()
class PKBatchSampler(Sampler):
    """Make batches of P classes with K images each (https://arxiv.org/abs/1703.07737).

    The batch of all ranks holds as many slots of K images as fit. Slots go to the
    classes equally often: a batch has every class before any class twice. What is
    left when K does not divide the batch is filled with images of one class, in turn.
    A class of fewer than K images repeats some.

    Each takes the next row of a pass that holds every image of its class at least
    once, so that every image is reached within :attr:`coverage_epochs`. Passes are
    drawn anew when they are used up. The batches are a function of
    ``(seed, epoch)``, those of the sampler; rank ``r`` of ``W`` takes ``r::W``.

    A batch may begin with a natural part, taken from the sampler as it comes; an epoch
    is then one pass over the sampler. ``natural_size`` of
    :class:`mmimbal.models.MetricLearningClsHead` must be the same.

    Args:
        sampler: A sampler with ``dataset``, ``seed`` and ``epoch``, such as
            ``DefaultSampler``. Its length is that of an epoch.
        batch_size: Images in the batch of a rank.
        k: Images per slot, at least 2.
        p: Slots in the batch of all ranks, where you want them checked: no more than
            there are classes, and ``p * k`` images must be the whole P x K part. If
            ``None``, as many as fit.
        natural_size: Images in the natural part of a rank's batch.
        distinct_groups: Take the images of a class from different groups (lesions,
            patients) where possible: two photographs of a lesion are a trivial positive
            pair. Where a batch has all classes and some of them once more, that slot
            is drawn apart from the others, and so is what K leaves over.

    Raises:
        TypeError: If the sampler lacks an attribute, or the dataset its labels or
            groups.
        ValueError: If ``k`` is below 2, no slot or not ``p`` slots fit into the batch,
            ``p`` is more than the classes, or a class has no image.
    """

    def __init__(
        self,
        sampler: Sampler,
        batch_size: int,
        k: int,
        p: int | None = None,
        natural_size: int = 0,
        distinct_groups: bool = False,
    ) -> None:
        missing = [
            name for name in ('dataset', 'seed', 'epoch') if not hasattr(sampler, name)
        ]
        if missing:
            raise TypeError(
                f'{type(sampler).__name__} has no {", ".join(missing)}; use '
                'DefaultSampler or mmimbal.ClassBalancedSampler beside PKBatchSampler'
            )
        self.rank, self.world_size = get_dist_info()
        size = (batch_size - natural_size) * self.world_size
        if k < 2 or k != int(k):
            raise ValueError(
                f'k={k} must be an integer of at least 2: a metric loss needs pairs'
            )
        if natural_size < 0 or size < k:
            raise ValueError(
                f'no slot of k={k} fits into {size} images: batch_size={batch_size} '
                f'less natural_size={natural_size}, times {self.world_size} ranks'
            )
        self.sampler = sampler
        self.batch_size = batch_size
        self.natural_size = natural_size
        self.k = k
        self.slots, self.rest = divmod(size, k)

        labels, names = get_labels(sampler.dataset), get_class_names(sampler.dataset)
        counts = count_classes(labels, names)
        if not counts.all():
            empty = ', '.join(np.array(names)[counts == 0])
            raise ValueError(f'no training image of class {empty}')
        if p is not None and (p > len(names) or p * k != size):
            raise ValueError(
                f'p={p} slots of k={k} images: there are {len(names)} classes, and the '
                f'P x K part of the batch has {size} images'
            )
        groups = get_groups(sampler.dataset) if distinct_groups else None
        members = split_by_label(labels, counts)
        codes = [
            np.arange(len(items))
            if groups is None
            else np.unique(groups[items], return_inverse=True)[1]
            for items in members
        ]

        def rows_of(k: int, kind: int) -> list[Passes]:
            seeds = ((sampler.seed, kind, label) for label in range(len(names)))
            return list(map(slots, members, codes, repeat(k), seeds))

        # A class's slots of the full sets are one row, so that they are distinct too.
        self.full, self.extra = divmod(self.slots, len(names))
        self.sets = rows_of(self.full * k, 1) if self.full else []
        self.extras = rows_of(k, 2) if self.extra else []
        self.rests = [
            shuffled_passes(items, (sampler.seed, 3, label))
            for label, items in enumerate(members)
        ]
        print_log(
            f'PKBatchSampler: {self.slots} slots of {k} images, {self.rest} more, in '
            f'each of {len(self)} batches an epoch; every image is reached within '
            f'{self.coverage_epochs} epochs',
            logger='current',
        )

    @property
    def coverage_epochs(self) -> int:
        """Epochs after which every image of every class has been in a batch."""
        if self.sets:  # each class takes a row a batch
            return math.ceil(max(rows.length for rows in self.sets) / len(self))
        # In a turn of as many batches as there are classes, each takes `extra` rows.
        turns = math.ceil(max(rows.length for rows in self.extras) / self.extra)
        return math.ceil(turns * len(self.extras) / len(self))

    def __len__(self) -> int:
        return math.ceil(len(self.sampler) / (self.natural_size or self.batch_size))

    def __iter__(self) -> Iterator[list[int]]:
        natural = iter(self.sampler)
        start = self.sampler.epoch * len(self)
        for first in range(0, len(self), BLOCK):
            count = min(BLOCK, len(self) - first)
            drawn = self.draw(start + first, count)
            for balanced in drawn[:, self.rank :: self.world_size].tolist():
                part = list(islice(natural, self.natural_size))
                while len(part) < self.natural_size:  # the end of the epoch: wrap
                    part += islice(iter(self.sampler), self.natural_size - len(part))
                yield part + balanced

    def draw(self, first: int, count: int) -> np.ndarray:
        """Return the P x K part of some batches over all ranks.

        Args:
            first: Number of the first batch, counted from epoch 0.
            count: How many batches, B.

        Returns:
            Dataset indices, (B, slots * k + rest).
        """
        sets = [rows.take(first, count) for rows in self.sets]
        # A turn is as many batches as there are classes. In it, each class has `extra`
        # slots beside those of the full sets, and its place: the batch it is rest of.
        classes = len(self.rests)
        turn, place = divmod(first, classes)
        schedule = self._schedule(turn, -(-(place + count) // classes))
        before = turn * self.extra
        before += np.bincount(schedule[:place].ravel(), minlength=classes)
        chosen = schedule[place : place + count]
        extras = np.empty((*chosen.shape, self.k), np.int64)
        for label, rows in enumerate(self.extras):
            mine = chosen == label
            extras[mine] = rows.take(before[label], mine.sum())
        rest = np.empty((count, self.rest), np.int64)
        for label, images in enumerate(self.rests):
            mine = rest[(label - place) % classes :: classes]
            start = (turn + (label < place)) * self.rest
            mine[:] = images.take(start, mine.size).reshape(mine.shape)
        return np.hstack([*sets, extras.reshape(count, -1), rest])

    def _schedule(self, turn: int, turns: int) -> np.ndarray:
        """Return the classes of the extra slots of each batch of some turns.

        (turns * classes, extra). In each turn every class occurs ``extra`` times, and
        never twice in a batch.
        """
        classes = len(self.rests)
        if not self.extra:
            return np.empty((turns * classes, 0), np.int64)
        drawn = []
        for number in range(turn, turn + turns):
            random = np.random.default_rng((self.sampler.seed, 4, number))
            order = np.repeat(random.permutation(classes), self.extra)
            drawn.append(random.permutation(order.reshape(self.extra, classes).T))
        return np.concatenate(drawn)


def get_sampler(loader: DataLoader) -> Sampler:
    """Return what draws the images of a loader: also the one in a batch sampler."""
    return getattr(loader.batch_sampler, 'sampler', loader.sampler)


def slots(
    items: np.ndarray, groups: np.ndarray, k: int, seed: tuple[int, ...]
) -> Passes:
    """Return endless rows of ``k`` images of a class, from different groups.

    Args:
        items: The images, (N,).
        groups: Group of each, (N,), numbered from 0.
        k: Images in a row.
        seed: Of the rows.

    Returns:
        Rows, (k,) each; each pass of them holds every image.
    """
    rows = math.ceil(len(items) / k)
    return Passes(rows, lambda random: items[deal(groups, k, random)], seed)


def deal(groups: np.ndarray, k: int, random: np.random.Generator) -> np.ndarray:
    """Deal items into rows of ``k``, items of one group into different rows.

    Sorted by group, they are dealt to the rows in turn, as cards are: a group lands in
    as many rows as it has items, if there are so many. Where ``k`` does not divide the
    items, some are dealt twice: one of a group before two, of small groups first.

    Args:
        groups: Group of each item, (N,), numbered from 0.
        k: Items in a row.
        random: Chooses.

    Returns:
        Items, (ceil(N / k), k); each of ``range(N)`` occurs at least once.
    """
    size, rows = len(groups), math.ceil(len(groups) / k)
    shuffled = random.permutation(size)
    sizes = np.bincount(groups)[groups[shuffled]]
    spare = shuffled[np.lexsort((sizes, occurrence(groups[shuffled])))]
    items = np.concatenate([shuffled, np.resize(spare, rows * k - size)])
    order = random.permutation(groups.max() + 1)[groups[items]]
    dealt = items[np.argsort(order, kind='stable')]
    return random.permutation(dealt.reshape(k, rows).T)
