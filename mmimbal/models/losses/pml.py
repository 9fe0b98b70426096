"""Registers the components of pytorch-metric-learning for configs."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from numbers import Number

import torch
from pytorch_metric_learning import distances, losses, miners, reducers, regularizers

from mmimbal.registry import MODELS

# Base classes, mixins, and losses that do not map (embeddings, labels) to a number.
NOT_STANDALONE = {
    'BaseLossWrapper',
    'BaseMetricLossFunction',
    'EmbeddingRegularizerMixin',
    'WeightRegularizerMixin',
    'GenericPairLoss',
    'ManifoldLoss',
    'SelfSupervisedLoss',
    'VICRegLoss',
    'BaseMiner',
    'EmbeddingsAlreadyPackagedAsTriplets',
    'BaseDistance',
    'BatchedDistance',
    'BaseReducer',
    'DoNothingReducer',
    'BaseRegularizer',
}
REPLACED = {  # in repaired.py and supcon.py
    'DynamicSoftMarginLoss',
    'HistogramLoss',
    'NCALoss',
    'SmoothAPLoss',
    'SupConLoss',
    'TupletMarginLoss',
}

# Losses that raise an error if they get pairs or triplets of a miner.
TAKES_NO_MINER = {
    'InstanceLoss',
    'P2SGradLoss',
    'PNPLoss',
    'RankedListLoss',
    'SmoothAPLoss',
}


def register_pml() -> list[str]:
    """Register the losses, miners, distances, reducers and regularizers of PML.

    Arguments that are components may be configs:
    ``dict(type='mmimbal.TripletMarginLoss',
    distance=dict(type='mmimbal.CosineSimilarity'))``.

    Returns:
        The registered names.
    """
    names = []
    for module in (losses, miners, distances, reducers, regularizers):
        for name, component in inspect.getmembers(module, inspect.isclass):
            if name not in NOT_STANDALONE | REPLACED:
                MODELS.register_module(name, module=from_config(component))
                names.append(name)
    return names


def from_config(component: type) -> Callable:
    """Return a function that builds ``component`` from arguments of a config.

    The function raises a ValueError if the margin is negative or the temperature is not
    positive.
    """

    @functools.wraps(component, updated=())
    def build(*args, **kwargs):
        name = component.__name__
        if not kwargs.get('margin', 0) >= 0:
            raise ValueError(
                f'margin={kwargs["margin"]} of {name} must not be negative'
            )
        if not kwargs.get('temperature', 1) > 0:
            raise ValueError(
                f'temperature={kwargs["temperature"]} of {name} must be positive'
            )
        build_argument = functools.partial(
            _build_argument, as_tensors=component is not losses.MultipleLosses
        )
        return component(
            *map(build_argument, args),
            **{name: build_argument(value) for name, value in kwargs.items()},
        )

    return build


def _build_argument(value, as_tensors: bool = True):
    """Build configs, also inside containers. Convert lists of numbers to tensors."""
    if isinstance(value, Mapping):
        if 'type' in value:
            return MODELS.build(value)
        return {key: _build_argument(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        if as_tensors and all(isinstance(item, Number) for item in value):
            return torch.tensor(value)
        return [_build_argument(item) for item in value]
    return value


register_pml()
