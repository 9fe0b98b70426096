"""Build a metric loss with the sizes that it takes."""

import inspect

from pytorch_metric_learning.distances import BaseDistance
from pytorch_metric_learning.losses import BaseMetricLossFunction
from pytorch_metric_learning.miners import BaseMiner
from pytorch_metric_learning.reducers import BaseReducer
from torch import nn

from mmimbal.models.losses.class_counts_loss import ClassCountsLoss
from mmimbal.models.losses.dot_regression import DotRegressionLoss
from mmimbal.models.losses.pml import TAKES_NO_MINER
from mmimbal.registry import MODELS

BY_NAME = inspect.Parameter.KEYWORD_ONLY
POSITIONAL = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)
OF_LOGITS = ('mmpretrain.models.losses', 'torch.nn.modules.loss')
HEADS = dict(
    class_weights='mmimbal.BalancedContrastiveClsHead',
    class_logits='mmimbal.ParametricContrastiveClsHead',
)


def build_metric_loss(cfg: dict, sizes: dict[str, int]) -> nn.Module:
    """Build a metric loss. Of ``sizes``, pass those that it takes and cfg does not set.

    Raises:
        KeyError: If no loss of that name is registered.
        TypeError: If the type is a function.
        ValueError: If there is no type, or it is no metric loss.
    """
    if not isinstance(cfg, dict) or 'type' not in cfg:
        raise ValueError(
            f'metric_loss={cfg!r} must be a dict with a type, such as '
            "dict(type='mmimbal.SupConLoss')"
        )
    component = cfg['type']
    if isinstance(component, str):
        with MODELS.switch_scope_and_registry(cfg.get('_scope_')) as registry:
            component = registry.get(component)
    if component is None:
        return MODELS.build(cfg)  # raises a KeyError that names the registry
    component = inspect.unwrap(component)
    if not inspect.isclass(component):
        raise TypeError(
            f'metric loss {cfg["type"]} must be an nn.Module, not a function'
        )
    if issubclass(component, BaseMiner):
        raise ValueError(f'{component.__name__} is a miner: give it as miner')
    of_logits = component.__module__.startswith(OF_LOGITS)
    of_logits = of_logits or issubclass(component, DotRegressionLoss)
    if of_logits or component.forward is ClassCountsLoss.forward:
        raise ValueError(
            f'{component.__name__} is a loss of logits, not of embeddings: give it as '
            'loss, and a metric loss as metric_loss'
        )
    accepted = _init_parameters(component)
    default_args = {name: size for name, size in sizes.items() if name in accepted}
    return MODELS.build(cfg, default_args=default_args)


def build_miner(cfg: dict, loss: nn.Module) -> nn.Module:
    """Build a miner for a metric loss.

    Raises:
        ValueError: If it is no miner, or the loss takes none.
    """
    miner, name = MODELS.build(cfg), type(loss).__name__
    if isinstance(miner, BaseMetricLossFunction | BaseDistance | BaseReducer):
        raise ValueError(f'{type(miner).__name__} is not a miner')
    if name in TAKES_NO_MINER or not getattr(loss, 'takes_miner', True):
        raise ValueError(f'{name} takes no miner: remove the miner from the head')
    return miner


def check_arguments(loss: nn.Module, head: type) -> None:
    """Check that a head gives a metric loss the arguments that it takes.

    Args:
        loss: The metric loss.
        head: Class of the head. Its ``gives`` has the names of the arguments that its
            ``loss_arguments`` returns. A class with a ``loss_arguments`` of its own and
            no ``gives`` beside it may return anything.

    Raises:
        ValueError: If the loss needs another argument, or does not take one.
    """
    name = type(loss).__name__
    parameters = inspect.signature(loss.forward).parameters.values()
    kinds = {each.kind for each in parameters}
    by_position = [each for each in parameters if each.kind in POSITIONAL]
    if len(by_position) < 3 and inspect.Parameter.VAR_POSITIONAL not in kinds:
        raise ValueError(
            f'{name}.forward must take (embeddings, labels, indices_tuple=None), where '
            'indices_tuple is the result of the miner'
        )
    owner = next(each for each in head.__mro__ if 'loss_arguments' in vars(each))
    if 'gives' not in vars(owner):
        return
    more = [*by_position[3:], *(each for each in parameters if each.kind is BY_NAME)]
    for each in more:
        if each.default is each.empty and each.name not in head.gives:
            needed = HEADS.get(each.name, 'a head that gives it')
            raise ValueError(f'{name} needs {each.name}: use {needed}')
    takes_all = inspect.Parameter.VAR_KEYWORD in kinds
    for given in head.gives:
        if given not in {each.name for each in more} and not takes_all:
            raise ValueError(
                f'{head.__name__} gives {given} to its metric loss, but {name} does '
                'not take it: use mmimbal.MetricLearningClsHead'
            )


def _init_parameters(component: type) -> set[str]:
    """Return argument names of ``__init__``; with ``**kwargs`` also of its parents."""
    names: set[str] = set()
    for parent in component.__mro__:
        if '__init__' not in vars(parent):
            continue
        parameters = inspect.signature(parent.__init__).parameters.values()
        names |= {parameter.name for parameter in parameters}
        if all(parameter.kind != parameter.VAR_KEYWORD for parameter in parameters):
            break
    return names
