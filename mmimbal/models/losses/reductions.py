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
