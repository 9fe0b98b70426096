"""The same batch norm statistics on all ranks."""

from mmengine.dist import all_reduce_params
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.nn.modules.batchnorm import _NormBase

from mmimbal.registry import HOOKS


@HOOKS.register_module()
class SyncBuffersHook(Hook):
    """Average norm statistics over ranks after each epoch and before validations.

    mmengine's hook of this name averages all buffers. Rounding would then change what
    is the same on all ranks: frozen statistics, and what losses remember. This one
    averages the statistics of norm layers in training mode alone.
    """

    layers: list[_NormBase] | None = None

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None):
        """Note the norm layers in training mode, at the first step."""
        if self.layers is None:
            self.layers = [
                module
                for module in runner.model.modules()
                if isinstance(module, _NormBase) and module.training
            ]

    def before_val_epoch(self, runner: Runner) -> None:
        """Average, in a loop that counts iterations, what steps have changed."""
        self._average()

    def after_train_epoch(self, runner: Runner) -> None:
        """Average what the steps of an epoch have changed."""
        self._average()

    def _average(self) -> None:
        buffers = [buffer for layer in self.layers or () for buffer in layer.buffers()]
        if buffers:
            all_reduce_params(buffers, op='mean')
        self.layers = None
