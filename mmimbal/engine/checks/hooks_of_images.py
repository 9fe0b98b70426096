"""Check that no hook needs images where features are cached."""

from collections.abc import Iterable

from mmengine.hooks import Hook
from mmpretrain.engine import PreciseBNHook, SwitchRecipeHook, VisualizationHook


def check_no_hook_needs_images(hooks: Iterable[Hook]) -> None:
    """Raise a ValueError if a hook needs images, which cached features replace."""
    for hook in hooks:
        if isinstance(hook, PreciseBNHook):
            raise ValueError(
                'PreciseBNHook passes images through a net, but batch norm is frozen '
                'and features are cached: remove it from custom_hooks'
            )
        if isinstance(hook, VisualizationHook) and hook.enable:
            raise ValueError(
                'VisualizationHook draws images, but features are cached: set enable '
                'to False, or train with EpochBasedTrainLoop'
            )
        recipes = hook.schedule.values() if isinstance(hook, SwitchRecipeHook) else ()
        for key in ('train_pipeline', 'batch_augments'):
            if any(recipe.get(key) is not None for recipe in recipes):
                raise ValueError(
                    f'{key} of SwitchRecipeHook changes images, but features are '
                    'cached: remove it, or train with EpochBasedTrainLoop'
                )
