"""Give the epoch to modules that depend on it."""

from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmimbal.engine.hooks.two_stage_hook import TwoStageHook
from mmimbal.models.needs import give_epoch
from mmimbal.registry import HOOKS


@HOOKS.register_module()
class SetEpochHook(Hook):
    """Call ``set_epoch(epoch)`` on every module that has it, when an epoch begins.

    Before, it calls ``set_max_epochs(max_epochs)``: the number of epochs of the stage.
    Warm-up and phases of metric losses depend on the epoch. Epochs count from 0, and
    from 0 again in the second stage of a single run. A resumed run continues to count.
    In loops that count iterations, an epoch is one pass over the loader.
    """

    epoch: int | None = None  # of the run, not of the stage

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None):
        """Set the epoch, if a new one has begun."""
        epoch, first = current_epoch(runner), first_epoch(runner)
        if epoch == self.epoch:
            return
        self.epoch = epoch
        max_epochs = last_epoch(runner) - first
        give_epoch(runner.model.modules(), epoch - first, max_epochs)


def current_epoch(runner: Runner) -> int:
    """Return the epoch, from 0 on; in loops that count iterations, number of passes."""
    if isinstance(runner.train_loop, EpochBasedTrainLoop):
        return runner.epoch
    return runner.iter // len(runner.train_dataloader)


def first_epoch(runner: Runner) -> int:
    """Return the first epoch of the current stage."""
    stages = (hook for hook in runner.hooks if isinstance(hook, TwoStageHook))
    return max((hook.first_epoch() for hook in stages), default=0)


def last_epoch(runner: Runner) -> int:
    """Return the epoch after the last of the current stage."""
    stages = [hook for hook in runner.hooks if isinstance(hook, TwoStageHook)]
    ends = [hook.epoch for hook in stages if hook.epoch and hook.stage == 1]
    if isinstance(runner.train_loop, EpochBasedTrainLoop):
        return min([runner.max_epochs, *ends])
    return -(-runner.max_iters // len(runner.train_dataloader))
