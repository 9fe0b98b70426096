"""How the losses of triplets or images become one number."""

import torch
from pytorch_metric_learning import reducers
from pytorch_metric_learning.reducers import BaseReducer

# The reduction of each reducer, without its weights or bounds.
REDUCERS = {
    reducers.AvgNonZeroReducer: 'nonzero',
    reducers.ThresholdReducer: 'nonzero',
    reducers.MeanReducer: 'mean',
    reducers.ClassWeightedReducer: 'mean',
    reducers.SumReducer: 'sum',
}


def reduction_of(reducer: BaseReducer) -> str:
    """Return the reduction that equals a reducer of pytorch-metric-learning.

    Raises:
        ValueError: If it cannot be computed from sums over the triplets per anchor.
    """
    if type(reducer) not in REDUCERS:
        raise ValueError(
            f'BatchAllTripletLoss cannot use {type(reducer).__name__}, which needs the '
            'loss of every triplet. Choose from '
            f'{", ".join(known.__name__ for known in REDUCERS)}, or use '
            'mmimbal.TripletMarginLoss'
        )
    low = getattr(reducer, 'low', 0.0)
    if low is None or low < 0:
        raise ValueError(
            f'{type(reducer).__name__}(low={low}) would average over triplets of loss '
            '0, too: set low to 0 or more, or use mmimbal.TripletMarginLoss'
        )
    return REDUCERS[type(reducer)]


def weights_of(labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the class weight of each label, (B,), from class weights, (K,).

    Raises:
        ValueError: If a class has no weight.
    """
    if labels.is_cpu and (labels >= len(weights)).any():  # a GPU would have to wait
        raise ValueError(
            f'{len(weights)} class weights, but a label is {labels.max()}: give one '
            'weight per class'
        )
    return weights.to(labels.device)[labels]


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


def count_labels(labels: torch.Tensor, num_classes: int) -> torch.Tensor:
    """Count the labels of each class, (K,), as :func:`torch.bincount` does.

    Which needs the largest label, for which a GPU would have to wait.
    """
    counts = labels.new_zeros(num_classes)
    return counts.index_add_(0, labels, torch.ones_like(labels))


def in_full_precision(embeddings: torch.Tensor) -> torch.Tensor:
    """Convert half precision to float32; keep float32 and float64."""
    return embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
