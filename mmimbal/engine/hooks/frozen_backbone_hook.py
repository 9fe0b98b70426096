"""Train the head alone, on features that stay as they were initialized."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmimbal.engine.ddp import rewrap_model, unwrap_model
from mmimbal.registry import HOOKS
from mmimbal.stage2.freezing import freeze_features


@HOOKS.register_module()
class FrozenBackboneHook(Hook):
    """Freeze backbone and neck before training, with their BN statistics.

    A baseline without stage 1: the head is a linear probe of, for example, ImageNet
    features, and every way of stage 2 can follow.
    """

    priority = 'ABOVE_NORMAL'  # before hooks that use the optimizer

    def before_train(self, runner: Runner) -> None:
        """Freeze, when weights are loaded."""
        parts = freeze_features(unwrap_model(runner.model), update_bn=False)
        rewrap_model(runner)
        runner.logger.info(f'Froze {" and ".join(parts)}; only the head is trained')
