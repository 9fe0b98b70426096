"""Faster convolutions."""

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmimbal.engine.ddp import rewrap_model, unwrap_model
from mmimbal.registry import HOOKS


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Store convolution weights channels-last, so that convolutions use that layout.

    CPUs in bfloat16 and GPUs in float16 are fastest with this layout. The values of
    the weights do not change; results may differ by rounding.
    """

    def before_run(self, runner: Runner) -> None:
        """Change the layout of the weights."""
        unwrap_model(runner.model).to(memory_format=torch.channels_last)
        rewrap_model(runner)
