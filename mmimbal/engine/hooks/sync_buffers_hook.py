"""The same batch norm statistics on all ranks."""

from mmengine.dist import all_reduce_params
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.nn.modules.batchnorm import _NormBase

from mmimbal.registry import HOOKS


@HOOKS.register_module()
class SyncBuffersHook(Hook):
    """Average norm statistics over ranks after each epoch, but for frozen modules.

    As mmengine's hook of this name, which averages all buffers: rounding would change,
    on seven ranks, frozen statistics and what losses remember the same on all ranks.
    What is frozen is in eval mode.
    """

    layers: list[_NormBase] | None = None

    def before_train_epoch(self, runner: Runner) -> None:
        """Look for norm layers anew."""
        self.layers = None

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None):
        """Note the norm layers in training mode, at the first step of an epoch."""
        if self.layers is None:
            self.layers = [
                module
                for module in runner.model.modules()
                if isinstance(module, _NormBase) and module.training
            ]

    def after_train_epoch(self, runner: Runner) -> None:
        """Average their buffers."""
        buffers = [buffer for layer in self.layers or () for buffer in layer.buffers()]
        if buffers:
            all_reduce_params(buffers, op='mean')
