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

    def after_train_epoch(self, runner: Runner) -> None:
        """Average the buffers of the norm layers in training mode."""
        buffers = [
            buffer
            for module in runner.model.modules()
            if isinstance(module, _NormBase) and module.training
            for buffer in module.buffers(recurse=False)
        ]
        if buffers:
            all_reduce_params(buffers, op='mean')
