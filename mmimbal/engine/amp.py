"""Mixed precision on a CPU."""

import re
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mmimbal.registry import OPTIM_WRAPPERS

CPU_INFO = Path('/proc/cpuinfo')
TIMED = 10
BF16_FLAGS = {'avx512_bf16', 'amx_bf16', 'bf16'}  # of x86 and ARM


def has_bf16() -> bool:
    """Return whether the CPU has instructions for bfloat16, as Linux says.

    Without them it is emulated, and a training step takes longer than in float32.
    """
    with suppress(OSError):
        flags = re.search(r'^(?:flags|Features)\s*:(.*)$', CPU_INFO.read_text(), re.M)
        return bool(flags and BF16_FLAGS & set(flags[1].split()))
    return False


def is_slower_in_bf16() -> bool:
    """Return whether a convolution in bfloat16 takes longer than in float32 here."""
    image = torch.rand(16, 64, 28, 28).to(memory_format=torch.channels_last)
    kernel = torch.rand(64, 64, 3, 3).to(memory_format=torch.channels_last)
    times = {torch.bfloat16: [], torch.float32: []}
    for _ in range(TIMED):  # in turns
        for dtype, seconds in times.items():
            arguments = image.to(dtype), kernel.to(dtype)
            start = time.perf_counter()
            torch.conv2d(*arguments)
            seconds.append(time.perf_counter() - start)
    return min(times[torch.bfloat16]) > min(times[torch.float32])


@OPTIM_WRAPPERS.register_module()
class CPUAmpOptimWrapper(OptimWrapper):
    """Train with bfloat16 autocast on a CPU; mmengine's AMP wrapper needs a GPU.

    bfloat16 has the range of float32, so no loss scaling is needed. Arguments are those
    of :class:`mmengine.optim.OptimWrapper`.
    """

    @contextmanager
    def optim_context(self, model: nn.Module):
        """Run the forward pass in bfloat16."""
        with super().optim_context(model), torch.autocast('cpu', torch.bfloat16):
            yield
