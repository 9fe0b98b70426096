"""Freezing what stage 1 has trained."""

from functools import partial

from torch import nn

FROZEN_PARTS = ('backbone', 'neck')


def freeze(module: nn.Module, update_bn: bool) -> None:
    """Stop a module from learning, whatever backbone it is.

    Args:
        module: A backbone or neck.
        update_bn: Whether batch norm layers go on updating their statistics. If
            not, the module stays in eval mode even when ``train()`` is called, as
            mmengine does each epoch, so that no buffer changes by a bit.
    """
    for parameter in module.parameters():
        parameter.requires_grad = False
        parameter.grad = None
    if not update_bn:
        module.train = partial(_stay_in_eval, module)  # can be pickled
        module.eval()


def _stay_in_eval(module: nn.Module, mode: bool = True) -> nn.Module:
    return type(module).train(module, False)
