"""The same batch norm statistics on all ranks."""

from mmengine.dist import all_reduce_params
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmimbal.registry import HOOKS


@HOOKS.register_module()
class SyncBuffersHook(Hook):
    """Average buffers over ranks after each epoch, but for those of frozen modules.

    As mmengine's hook of this name, which averages all: rounding would change frozen
    statistics on, say, seven ranks. What is frozen is in eval mode.
    """

    def after_train_epoch(self, runner: Runner) -> None:
        """Average the buffers of the modules in training mode."""
        buffers = [
            buffer
            for module in runner.model.modules()
            if module.training
            for buffer in module.buffers(recurse=False)
        ]
        if buffers:
            all_reduce_params(buffers, op='mean')
