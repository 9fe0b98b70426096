"""Refuse weights that are not those of the net that loads them."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from mmengine.model import BaseTTAModel
from mmengine.runner import checkpoint as mmengine_checkpoint
from torch import nn

from mmimbal.datasets.spelling import shortened
from mmimbal.engine.ddp import unwrap_model


@contextmanager
def checked_weights() -> Iterator[None]:
    """Make mmengine call :func:`check_weights` before it loads weights, in a block."""
    load = mmengine_checkpoint.load_state_dict

    def check_and_load(module: nn.Module, state_dict: Mapping, *args, **kwargs) -> None:
        net = unwrap_model(module)
        if isinstance(net, BaseTTAModel):  # mmengine loads into the model inside
            net = net.module
        check_weights(net, state_dict)
        load(module, state_dict, *args, **kwargs)

    mmengine_checkpoint.load_state_dict = check_and_load
    try:
        yield
    finally:
        mmengine_checkpoint.load_state_dict = load


def check_weights(net: nn.Module, weights: Mapping) -> None:
    """Check that at least one of some weights fits a net.

    mmengine loads what fits, and lists the rest in its log: a net that got nothing
    would train from random weights.

    Args:
        net: The net that loads them.
        weights: Content of a checkpoint; usually names and tensors.

    Raises:
        ValueError: If none has the name and the shape of one in the net. Single
            numbers, such as those that count batches, are not looked at.
    """
    own = {name: value.shape for name, value in net.state_dict().items() if value.ndim}
    shapes = {name: getattr(value, 'shape', None) for name, value in weights.items()}
    if own and own.items().isdisjoint(shapes.items()):
        raise ValueError(
            'none of the weights of the checkpoint fits the net. The checkpoint has '
            f'{shortened([*map(str, weights)])}; the net has {shortened([*own])}'
            f'{_hint(own, shapes)}'
        )


def _hint(own: Mapping, shapes: Mapping) -> str:
    """Return what to change in the config if the names differ in their first part."""
    for part in _first_parts(own):
        longer = {f'{part}.{name}': shape for name, shape in shapes.items()}
        if longer.items() & own.items():
            return (
                f'. They fit its {part}: set model.{part}.init_cfg = '
                "dict(type='Pretrained', checkpoint=FILE) instead of load_from"
            )
    for part in _first_parts(shapes):
        longer = {f'{part}.{name}': shape for name, shape in own.items()}
        if longer.items() & shapes.items():
            return f". Its {part} fits: set prefix='{part}.' in init_cfg"
    return ''


def _first_parts(names: Collection) -> list[str]:
    """Return the first parts of dotted names, each once, in their order."""
    return [*dict.fromkeys(str(name).split('.')[0] for name in names)]
