"""Faster convolutions."""

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmimbal.engine.ddp import rewrap_model, unwrap_model
from mmimbal.registry import HOOKS


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Keep convolution weights channels-last, so that convolutions run in that layout.

    The layout that CPUs in bfloat16 and GPUs in float16 are fastest in. Values stay
    the same; rounding may differ.
    """

    def before_run(self, runner: Runner) -> None:
        """Change the layout of the weights."""
        unwrap_model(runner.model).to(memory_format=torch.channels_last)
        rewrap_model(runner)
