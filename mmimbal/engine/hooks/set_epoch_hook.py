"""The epoch, for modules that change with it."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmimbal.registry import HOOKS


@HOOKS.register_module()
class SetEpochHook(Hook):
    """Call ``set_epoch(epoch)`` on every module that has it, when an epoch begins.

    Warm-ups and phases of metric losses count from it. Epochs begin at 0, and a resumed
    run goes on where it stopped.
    """

    epoch: int | None = None

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None):
        """Hand out a new epoch, also in loops that count iterations."""
        if runner.epoch == self.epoch:
            return
        self.epoch = runner.epoch
        for module in runner.model.modules():
            if hasattr(module, 'set_epoch'):
                module.set_epoch(self.epoch)
