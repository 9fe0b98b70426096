"""Check that the loss of a head is one of its logits."""

import inspect
import logging

import torch
from mmengine.logging import print_log
from torch import nn

from mmimbal.models.heads.cosine_head import check_scale_of_loss


def check_head_loss(model: nn.Module) -> None:
    """Check the classification loss of a model, before training.

    Raises:
        ValueError: As :func:`check_loss_of_head`.
    """
    owner = owner_of_loss(model)
    loss = getattr(owner, 'loss_module', None)
    if isinstance(loss, nn.ModuleList):  # of several experts
        loss = loss[0]
    if loss is not None:
        check_loss_of_head(loss, owner)


def owner_of_loss(model: nn.Module) -> nn.Module | None:
    """Return the module whose ``loss_module`` is the classification loss, if any.

    It is the head or, as in ``TimmClassifier``, the model.
    """
    return model if hasattr(model, 'loss_module') else getattr(model, 'head', None)


def check_loss_of_head(loss: nn.Module, head: nn.Module) -> None:
    """Check a classification loss for a head.

    A loss with a ``scale``, such as LDAM, expects cosines times this scale. With a head
    that has none, or one for each class, a line of the log says so.

    Raises:
        ValueError: If the loss does not take ``avg_factor``, such as a loss of
            embeddings, or the head has another scale.
    """
    if not takes(loss.forward, 'avg_factor'):
        raise ValueError(
            f'model.head.loss must be a loss of logits that takes avg_factor, as those '
            f'of MMPretrain do, but {type(loss).__name__} does not. If it is a metric '
            'loss, give it as metric_loss of mmimbal.MetricLearningClsHead'
        )
    scale = getattr(head, 'scale', None)
    if scale is not None and torch.as_tensor(scale).numel() == 1:
        check_scale_of_loss(loss, float(scale))
    elif hasattr(loss, 'scale'):
        print_log(
            f'{type(loss).__name__} is for cosines times {loss.scale}, but '
            f'{type(head).__name__} gives other logits: use it with '
            f'mmimbal.CosineClsHead(scale={loss.scale})',
            logger='current',
            level=logging.WARNING,
        )


def takes(function, argument: str) -> bool:
    """Return whether a function has an argument, or takes any."""
    parameters = inspect.signature(function).parameters
    return argument in parameters or any(
        each.kind is each.VAR_KEYWORD for each in parameters.values()
    )
