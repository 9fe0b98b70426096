"""Keep batch norm statistics equal on all ranks."""

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.nn.modules.batchnorm import _NormBase

from mmimbal.engine.ddp import average_statistics, norms_in_training
from mmimbal.registry import HOOKS


@HOOKS.register_module()
class SyncBuffersHook(Hook):
    """Average norm statistics over ranks after each epoch and before each validation.

    mmengine's hook with this name averages all buffers. Its rounding errors would
    change buffers that are equal on all ranks, such as frozen statistics and the
    memories of losses. This hook averages only the statistics of norm layers in
    training mode.
    """

    layers: list[_NormBase] | None = None

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None):
        """Collect the norm layers in training mode, at the first step."""
        if self.layers is None:
            self.layers = norms_in_training(runner.model)

    def before_val_epoch(self, runner: Runner) -> None:
        """Average before a validation inside an epoch, in a loop over iterations."""
        self._average()

    def after_train_epoch(self, runner: Runner) -> None:
        """Average at the end of an epoch."""
        self._average()

    def _average(self) -> None:
        average_statistics(self.layers or ())
        self.layers = None
