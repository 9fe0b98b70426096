"""The model inside of DDP, and wrapping it again after a change."""

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn


def unwrap_model(model: nn.Module) -> nn.Module:
    """Return the model inside of a distributed wrapper, if there is one."""
    return model.module if is_model_wrapper(model) else model


def rewrap_model(runner: Runner) -> None:
    """Wrap the model of a distributed runner anew.

    DDP notes, when it wraps a model, which parameters learn and how they lie in memory.
    A model of which nothing learns stays without, as DDP wants.
    """
    model = unwrap_model(runner.model)
    if model is runner.model:
        return
    if any(parameter.requires_grad for parameter in model.parameters()):
        model = runner.wrap_model(runner.cfg.get('model_wrapper_cfg'), model)
    runner.model = model
