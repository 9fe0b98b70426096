"""Freeze the modules that stage 1 has trained."""

from functools import partial

from torch import nn

FROZEN_PARTS = ('backbone', 'neck')


def freeze_features(model: nn.Module, update_bn: bool) -> list[str]:
    """Freeze backbone and neck of a classifier; return the names of these parts.

    Args:
        model: The classifier.
        update_bn: As in :func:`freeze`.

    Raises:
        ValueError: If it does not consist of a backbone and a head.
    """
    check_has_parts(model)
    parts = [part for part in FROZEN_PARTS if getattr(model, part, None) is not None]
    for part in parts:
        freeze(getattr(model, part), update_bn)
    return parts


def check_has_parts(model: nn.Module) -> None:
    """Raise a ValueError if a model does not consist of a backbone and a head."""
    missing = [name for name in ('backbone', 'head') if not hasattr(model, name)]
    if missing:
        raise ValueError(
            f'{type(model).__name__} has no {" and no ".join(missing)}: stages need an '
            'ImageClassifier, whose backbone may be a TIMMBackbone'
        )


def check_head_learns(model: nn.Module, head: nn.Module) -> None:
    """Raise a ValueError if a head has nothing to train or fit.

    Args:
        model: The classifier, for the message.
        head: Its head of stage 2.
    """
    learns = any(parameter.requires_grad for parameter in head.parameters())
    if not (learns or hasattr(head, 'fit')):
        raise ValueError(
            f'{type(head).__name__} has no weights that stage 2 could train. If the '
            f'classifier is inside {type(model.backbone).__name__}, remove num_classes '
            'from the backbone, and use LinearClsHead'
        )


def freeze(module: nn.Module, update_bn: bool) -> None:
    """Freeze all parameters of a module; this works with any backbone.

    Args:
        module: A backbone or neck.
        update_bn: Whether batch norm layers keep updating their statistics. If not,
            the module stays in eval mode even if ``train()`` is called, as mmengine
            does in each epoch, so that no buffer changes.
    """
    for parameter in module.parameters():
        parameter.requires_grad = False
        parameter.grad = None
    if not update_bn:
        module.train = partial(_stay_in_eval, module)  # can be pickled
        module.eval()


def _stay_in_eval(module: nn.Module, mode: bool = True) -> nn.Module:
    return type(module).train(module, False)
