"""Build a metric loss with the sizes that it takes."""

import inspect

from torch import nn

from mmimbal.registry import MODELS


def build_metric_loss(cfg: dict, sizes: dict[str, int]) -> nn.Module:
    """Build a metric loss. Of ``sizes``, pass those that it takes and cfg does not set.

    Raises:
        KeyError: If no loss of that name is registered.
        TypeError: If the type is a function.
    """
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
    accepted = _init_parameters(component)
    default_args = {name: size for name, size in sizes.items() if name in accepted}
    return MODELS.build(cfg, default_args=default_args)


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
