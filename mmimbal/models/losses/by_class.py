"""Sums and counts for each class of a batch, without waiting for a GPU."""

import torch


def average_over_classes(
    sums: torch.Tensor, active: torch.Tensor, mined: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """Average over the active triplets of each class, then over classes.

    Args:
        sums: Sum of the losses per anchor, (B,).
        active: Number of triplets with a loss above 0 per anchor, (B,), int64.
        mined: Number of triplets per anchor, (B,), int64. Classes without triplets do
            not count.
        labels: (B,).

    Returns:
        A scalar; 0 if there is no triplet.
    """
    sums, active, mined = sum_over_classes(labels, sums, active, mined)
    return (sums / active.clamp(min=1)).sum() / (mined > 0).sum().clamp(min=1)


def sum_over_classes(labels: torch.Tensor, *values: torch.Tensor) -> list[torch.Tensor]:
    """Sum values, (B, ...), over the images of each class of a batch.

    Without :func:`torch.unique`, for whose size a GPU would have to wait: there are B
    sums, of which those of no class are 0.
    """
    of_class = first_of_class(labels)
    return [torch.zeros_like(v).index_add(0, of_class, v) for v in values]


def first_of_class(labels: torch.Tensor) -> torch.Tensor:
    """Return numbers in 0..B-1, (B,), that are equal for equal labels only."""
    return torch.searchsorted(labels.sort().values, labels)


def moved_centres(
    centres: torch.Tensor,
    known: torch.Tensor,
    vectors: torch.Tensor,
    labels: torch.Tensor,
    momentum: float,
) -> torch.Tensor:
    """Return class centres, moved to the means of a batch, (K, D).

    Args:
        centres: (K, D). Classes that are not in the batch keep theirs.
        known: Which classes have a centre, (K,); the others take the mean.
        vectors: (B, D).
        labels: (B,).
        momentum: Weight of the old centres.
    """
    sums = torch.zeros_like(centres).index_add_(0, labels, vectors)
    counts = count_labels(labels, len(centres))
    means = sums / counts.clamp(min=1)[:, None]
    moved = momentum * centres + (1 - momentum) * means
    moved = torch.where(known[:, None], moved, means)
    return torch.where(counts[:, None] > 0, moved, centres)


def count_labels(labels: torch.Tensor, num_classes: int) -> torch.Tensor:
    """Count the labels of each class, (K,).

    :func:`torch.bincount` would need the largest label, for which a GPU has to wait.
    """
    counts = labels.new_zeros(num_classes)
    return counts.index_add_(0, labels, torch.ones_like(labels))
