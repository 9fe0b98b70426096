"""Mixed precision on a CPU."""

import re
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mmimbal.registry import OPTIM_WRAPPERS

CPU_INFO = Path('/proc/cpuinfo')
BF16_FLAGS = {'avx512_bf16', 'amx_bf16', 'bf16'}  # of x86 and ARM


def has_bf16() -> bool:
    """Return whether the CPU has instructions for bfloat16, as Linux says.

    Without them it is emulated, and a training step takes about twice as long as in
    float32.
    """
    with suppress(OSError):
        flags = re.search(r'^(?:flags|Features)\s*:(.*)$', CPU_INFO.read_text(), re.M)
        return bool(flags and BF16_FLAGS & set(flags[1].split()))
    return False


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
