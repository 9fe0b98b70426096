"""Batches of P classes with K images each."""

import math
from collections.abc import Iterator
from itertools import islice, repeat

import numpy as np
from mmengine.dist import get_dist_info
from mmengine.logging import print_log
from torch.utils.data import DataLoader, Sampler

from mmimbal.datasets.labels_and_groups import (
    check_no_class_is_empty,
    count_classes,
    get_class_names,
    get_groups,
    get_labels,
    without_repeats,
)
from mmimbal.datasets.samplers.class_balanced import split_by_label
from mmimbal.datasets.samplers.distinct_groups import endless_rows, get_image_numbers
from mmimbal.datasets.samplers.permutations import (
    EndlessSequence,
    endless_permutations,
)
from mmimbal.datasets.views import MetricIndex
from mmimbal.datasets.whole_number import whole_number
from mmimbal.registry import DATA_SAMPLERS

BLOCK = 512  # batches drawn at once


@DATA_SAMPLERS.register_module()
class PKBatchSampler(Sampler):
    """Make batches of P classes with K images each (https://arxiv.org/abs/1703.07737).

    The batch over all ranks is divided into slots; a slot is K images of one class.
    Slots are spread evenly: no class gets its second slot before every class has one.
    If K does not divide the batch, the remaining places go to one class per batch, the
    next class in the next batch. A class of fewer than K images repeats some in a slot;
    copies that a wrapper of the dataset makes are one image.

    Images of a class are drawn without replacement: all are used, within
    :attr:`coverage_epochs` epochs, before they are shuffled again. The batches depend
    on ``seed`` and ``epoch`` of the sampler alone. Rank ``r`` of ``W`` takes the images
    ``r::W`` of a batch.

    With ``natural_size``, a batch begins with images in the order of the sampler, and
    an epoch is one pass over the sampler. Set ``natural_size`` of
    :class:`mmimbal.models.MetricLearningClsHead` to the same number.

    Args:
        sampler: A sampler with ``dataset``, ``seed`` and ``epoch``: ``DefaultSampler``
            or :class:`ClassBalancedSampler`. Its length is that of an epoch.
        batch_size: Images in the batch of a rank.
        k: Images per slot, at least 2.
        p: Slots in the batch over all ranks. It only checks the other numbers: at most
            the number of classes, and ``p * k`` images without the natural part. As
            many slots as fit if ``None``.
        natural_size: Images in the natural part of a rank's batch.
        distinct_groups: Take the images of a class from different groups (lesions,
            patients) if possible: two photographs of a lesion are a trivial positive
            pair. If a batch has more slots than classes, slots beyond an equal number
            per class are drawn independently, and so are the remaining places.
        separate_views: Mark the images of the P x K part: only the metric loss will
            see them, in views of their own. Needs ``natural_size``,
            :class:`mmimbal.datasets.ViewsByLoss` in the pipeline, and a head with
            ``separate_views``.

    Raises:
        TypeError: If the sampler lacks an attribute, or the dataset has no labels or
            groups.
        ValueError: If ``k`` is below 2, no slot fits into the batch, ``p`` does not
            match it or is more than the classes, a class has no image, or
            ``separate_views`` is set without ``natural_size``.
    """

    def __init__(
        self,
        sampler: Sampler,
        batch_size: int,
        k: int,
        p: int | None = None,
        natural_size: int = 0,
        distinct_groups: bool = False,
        separate_views: bool = False,
    ) -> None:
        missing = [
            name for name in ('dataset', 'seed', 'epoch') if not hasattr(sampler, name)
        ]
        if missing:
            raise TypeError(
                f'{type(sampler).__name__} has no {", ".join(missing)}: use '
                'DefaultSampler or mmimbal.ClassBalancedSampler with PKBatchSampler'
            )
        if batch_size is None:
            raise ValueError(
                'PKBatchSampler needs a number of images: set batch_size of the loader'
            )
        self.rank, self.world_size = get_dist_info()
        size = (batch_size - natural_size) * self.world_size
        k = whole_number('k', k, smallest=2)  # a metric loss needs pairs
        if separate_views and not natural_size:
            raise ValueError(
                'separate_views=True needs natural_size: the images of cross-entropy'
            )
        if natural_size < 0 or size < k:
            raise ValueError(
                f'no slot of k={k} fits into {size} images: (batch_size={batch_size} '
                f'- natural_size={natural_size}) * {self.world_size} ranks'
            )
        self.sampler = sampler
        self.batch_size = batch_size
        self.natural_size = natural_size
        self.separate_views = separate_views
        self.k = k
        self.slots, self.rest = divmod(size, k)

        dataset = without_repeats(sampler.dataset)
        labels, names = get_labels(dataset), get_class_names(dataset)
        counts = count_classes(labels, names)
        check_no_class_is_empty(counts, names)
        if p is not None and (p > len(names) or p * k != size):
            raise ValueError(
                f'p={p} slots of k={k} images: there are {len(names)} classes, and the '
                f'P x K part of the batch has {size} images. Without p, as many slots '
                'as fit are used'
            )
        groups = get_groups(dataset) if distinct_groups else get_image_numbers(dataset)
        members = split_by_label(labels, counts)
        group_codes = [
            np.unique(groups[images], return_inverse=True)[1] for images in members
        ]

        def rows_of(k: int, kind: int) -> list[EndlessSequence]:
            seeds = ((sampler.seed, kind, label) for label in range(len(names)))
            return list(map(endless_rows, members, group_codes, repeat(k), seeds))

        # The slots that every class has in every batch are one row per class, so that
        # distinct_groups holds over all of them.
        self.slots_per_class, self.extra = divmod(self.slots, len(names))
        self.common_rows = (
            rows_of(self.slots_per_class * k, 1) if self.slots_per_class else []
        )
        self.extra_rows = rows_of(k, 2) if self.extra else []
        self.rest_images = [
            endless_permutations(images, (sampler.seed, 3, label))
            for label, images in enumerate(members)
        ]
        print_log(
            f'PKBatchSampler: {len(self)} batches per epoch, each with {self.slots} '
            f'slots of {k} images and {self.rest} more images; every image is used '
            f'within {self.coverage_epochs} epochs',
            logger='current',
        )

    @property
    def coverage_epochs(self) -> int:
        """Number of epochs in which every image is at least once in a batch."""
        if self.common_rows:  # each class uses one row per batch
            return math.ceil(max(rows.length for rows in self.common_rows) / len(self))
        # A turn has as many batches as classes. In it each class uses `extra` rows.
        turns = math.ceil(max(rows.length for rows in self.extra_rows) / self.extra)
        return math.ceil(turns * len(self.extra_rows) / len(self))

    def __len__(self) -> int:
        return math.ceil(len(self.sampler) / (self.natural_size or self.batch_size))

    def __iter__(self) -> Iterator[list[int]]:
        natural = iter(self.sampler)
        start = self.sampler.epoch * len(self)
        for first in range(0, len(self), BLOCK):
            count = min(BLOCK, len(self) - first)
            drawn = self.draw(start + first, count)
            for balanced in drawn[:, self.rank :: self.world_size].tolist():
                batch = list(islice(natural, self.natural_size))
                # At the end of the epoch, pad from its start.
                while len(batch) < self.natural_size:
                    batch += islice(iter(self.sampler), self.natural_size - len(batch))
                if self.separate_views:
                    balanced = [MetricIndex(index) for index in balanced]
                yield batch + balanced

    def draw(self, first: int, count: int) -> np.ndarray:
        """Return the P x K part of some batches over all ranks.

        Args:
            first: Index of the first batch, counted from epoch 0.
            count: Number of batches, B.

        Returns:
            Dataset indices, (B, slots * k + rest).
        """
        common = [rows.take(first, count) for rows in self.common_rows]
        # A turn is as many batches as there are classes. In a turn each class gets
        # `extra` more slots, and the remaining places of one batch.
        classes = len(self.rest_images)
        turn, place = divmod(first, classes)
        schedule = self._schedule(turn, -(-(place + count) // classes))
        used_rows = turn * self.extra
        used_rows += np.bincount(schedule[:place].ravel(), minlength=classes)
        scheduled = schedule[place : place + count]
        extra = np.empty((*scheduled.shape, self.k), np.int64)
        for label, rows in enumerate(self.extra_rows):
            of_label = scheduled == label
            extra[of_label] = rows.take(used_rows[label], of_label.sum())
        rest = np.empty((count, self.rest), np.int64)
        for label, images in enumerate(self.rest_images):
            of_label = rest[(label - place) % classes :: classes]
            start = (turn + (label < place)) * self.rest
            of_label[:] = images.take(start, of_label.size).reshape(of_label.shape)
        return np.hstack([*common, extra.reshape(count, -1), rest])

    def _schedule(self, turn: int, turns: int) -> np.ndarray:
        """Return the classes of the extra slots, (turns * classes, extra).

        A row is a batch. In each turn every class occurs ``extra`` times, and never
        twice in a batch.
        """
        classes = len(self.rest_images)
        if not self.extra:
            return np.empty((turns * classes, 0), np.int64)
        drawn = []
        for number in range(turn, turn + turns):
            random = np.random.default_rng((self.sampler.seed, 4, number))
            order = np.repeat(random.permutation(classes), self.extra)
            drawn.append(random.permutation(order.reshape(self.extra, classes).T))
        return np.concatenate(drawn)


def get_sampler(loader: DataLoader) -> Sampler:
    """Return the sampler of a loader, or the one inside its batch sampler."""
    return getattr(loader.batch_sampler, 'sampler', loader.sampler)
