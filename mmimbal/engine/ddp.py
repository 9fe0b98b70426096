"""Models on several ranks: unwrapped, wrapped again, with equal statistics."""

from collections.abc import Iterable

from mmengine.dist import all_reduce_params, get_rank
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn
from torch.nn.modules.batchnorm import _NormBase


def unwrap_model(model: nn.Module) -> nn.Module:
    """Return the model inside its distributed wrapper, or the model itself."""
    return model.module if is_model_wrapper(model) else model


def seed_of_first_rank(runner: Runner) -> int:
    """Return the seed of the first rank; others may have seeds of their own."""
    differ = (runner.cfg.get('randomness') or {}).get('diff_rank_seed')
    return runner.seed - (get_rank() if differ else 0)


def rewrap_model(runner: Runner) -> None:
    """Wrap the model of a distributed runner again.

    When DDP wraps a model, it records which parameters are trained and their memory
    layout. A model without trained parameters is not wrapped: DDP refuses it.
    """
    model = unwrap_model(runner.model)
    if model is runner.model:
        return
    if any(parameter.requires_grad for parameter in model.parameters()):
        model = runner.wrap_model(runner.cfg.get('model_wrapper_cfg'), model)
    runner.model = model


def average_statistics(layers: Iterable[nn.Module]) -> None:
    """Average the statistics of norm layers over ranks; with one rank, do nothing."""
    buffers = [buffer for layer in layers for buffer in layer.buffers()]
    if buffers:
        all_reduce_params(buffers, op='mean')


def norms_in_training(model: nn.Module) -> list[_NormBase]:
    """Return the norm layers of a model that are in training mode."""
    modules = model.modules()
    return [each for each in modules if isinstance(each, _NormBase) and each.training]
