"""The registries of mmimbal: children of mmengine's root, scope ``mmimbal``."""

import difflib

import mmengine.registry as root
import mmpretrain.registry as mmpretrain
from mmengine.registry import DefaultScope
from torch import nn

SCOPE = 'mmimbal'


class Registry(root.Registry):
    """A registry that refuses unknown names instead of searching its parent.

    In mmengine, ``mmimbal.EMAHook`` would find mmengine's ``EMAHook``. Here it is an
    error, with a list of similar names. There is one exception: mmengine builds the
    components of a config that is inherited as ``mmimbal::...`` in our scope; there,
    names without a prefix are components of MMPretrain.

    Args:
        parent: The root registry.
        location: Module that registers the components.
    """

    def __init__(self, parent: root.Registry, location: str) -> None:
        super().__init__(parent.name, parent=parent, scope=SCOPE, locations=[location])

    def get(self, key: str) -> type:
        """Return the component registered under ``key``.

        Raises:
            KeyError: If mmimbal has no component of that name.
        """
        scope, name = self.split_scope_key(key)
        if scope not in (None, SCOPE):
            return super().get(key)
        self.import_from_location()
        if name in self.module_dict:
            return self.module_dict[name]
        if scope is None and _is_current_scope():
            return self.root.get(f'mmpretrain.{name}')
        near = difflib.get_close_matches(name, self.module_dict, n=3, cutoff=0.5)
        hint = f'Similar names: {", ".join(near)}.' if near else 'No name is similar.'
        raise KeyError(
            f"mmimbal has no {self.name} '{name}'. {hint} Components of MMPretrain "
            "and mmengine are written without the 'mmimbal.' prefix."
        )


def _is_current_scope() -> bool:
    current = DefaultScope.get_current_instance()
    return current is not None and current.scope_name == SCOPE


MODELS = Registry(root.MODELS, 'mmimbal.models')
DATASETS = Registry(root.DATASETS, 'mmimbal.datasets')
DATA_SAMPLERS = Registry(root.DATA_SAMPLERS, 'mmimbal.datasets')
FUNCTIONS = Registry(root.FUNCTIONS, 'mmimbal.datasets')
TRANSFORMS = Registry(root.TRANSFORMS, 'mmimbal.datasets')
HOOKS = Registry(root.HOOKS, 'mmimbal.engine.hooks')
LOOPS = Registry(root.LOOPS, 'mmimbal.engine.loops')
OPTIM_WRAPPERS = Registry(root.OPTIM_WRAPPERS, 'mmimbal.engine.amp')
METRICS = Registry(root.METRICS, 'mmimbal.evaluation')
WEIGHT_INITIALIZERS = Registry(root.WEIGHT_INITIALIZERS, 'mmimbal.models.backbones')

# The other registries stay empty. A config inherited as mmimbal::... is built in our
# scope, and needs them to find MMPretrain's components of these kinds.
for _registry in vars(mmpretrain).values():
    _parent = getattr(_registry, 'parent', None)
    if isinstance(_parent, root.Registry) and SCOPE not in _parent.children:
        Registry(_parent, 'mmimbal')


def build_if_config(component: nn.Module | dict | None) -> nn.Module | None:
    """Build a part of a model if it is a config; return others as they are."""
    return MODELS.build(component) if isinstance(component, dict) else component
