"""Give the epoch to modules that depend on it."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmimbal.engine.hooks.stages import current_epoch, first_epoch, last_epoch
from mmimbal.models.needs import EPOCH, give_epoch
from mmimbal.registry import HOOKS


@HOOKS.register_module()
class SetEpochHook(Hook):
    """Call ``set_epoch(epoch)`` on every module that has it, when an epoch begins.

    Before, it calls ``set_max_epochs(max_epochs)``: the number of epochs of the stage.
    Warm-up and phases of metric losses depend on the epoch. Epochs count from 0, and
    from 0 again in the second stage of a single run. A resumed run continues to count.
    In loops that count iterations, an epoch is one pass over the loader.
    """

    gives = (EPOCH,)
    epoch: int | None = None  # of the run, not of the stage

    def before_train(self, runner: Runner) -> None:
        """Call ``begin_training()``, unless the run goes on."""
        if not runner._resume:
            for module in runner.model.modules():
                if hasattr(module, 'begin_training'):
                    module.begin_training()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None):
        """Set the epoch, if a new one has begun."""
        epoch, first = current_epoch(runner), first_epoch(runner)
        if epoch == self.epoch:
            return
        self.epoch = epoch
        max_epochs = last_epoch(runner) - first
        give_epoch(runner.model.modules(), epoch - first, max_epochs)
