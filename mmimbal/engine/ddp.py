"""Unwrap the model from DDP, and wrap it again after a change."""

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn


def unwrap_model(model: nn.Module) -> nn.Module:
    """Return the model inside its distributed wrapper, or the model itself."""
    return model.module if is_model_wrapper(model) else model


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
