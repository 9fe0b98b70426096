"""Faster convolutions."""

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mmimbal.engine.ddp import rewrap_model, unwrap_model
from mmimbal.registry import HOOKS

FEWEST_CHANNELS = 8


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Store convolution weights channels-last, so that convolutions use that layout.

    CPUs in bfloat16 and GPUs in float16 are fastest with this layout. The values of
    the weights do not change; results may differ by rounding. A net with a convolution
    of fewer than 8 output channels keeps its layout: on a CPU with AVX2 but without
    AVX-512, its backward pass in oneDNN writes beyond its memory (torch 2.11).
    """

    def before_run(self, runner: Runner) -> None:
        """Change the layout of the weights."""
        model = unwrap_model(runner.model)
        channels = [
            module.out_channels
            for module in model.modules()
            if isinstance(module, nn.Conv2d)
        ]
        if min(channels, default=0) >= FEWEST_CHANNELS:
            model.to(memory_format=torch.channels_last)
            rewrap_model(runner)
