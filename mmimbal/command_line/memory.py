"""Keep freed memory, so that training steps on a CPU do not ask for it again."""

import ctypes
import sys

import torch
from mmengine.logging import print_log

# Of glibc's malloc.h. mallopt takes a C int: 4 GiB would be 0.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
NEVER, ONE_GIB = -1, 1 << 30


def keep_memory() -> None:
    """Make malloc keep freed memory of this process instead of returning it.

    By default, glibc returns large blocks to the system and asks for them again in the
    next training step. On a CPU this can take half of the time of a step
    (``benchmarks/stage1_step.py``). Only for processes that train: the setting cannot
    be read, so it cannot be restored. Child processes that are forked have it too.

    It needs glibc: on macOS, on Windows, or with musl, only a line is logged, unless
    there is a GPU.
    """
    if not _set_mallopt() and not torch.cuda.is_available():
        print_log(
            'Freed memory cannot be kept without glibc, so training on the CPU takes '
            'longer',
            logger='current',
        )


def _set_mallopt() -> bool:
    """Set the options of malloc; return whether it worked."""
    if not sys.platform.startswith('linux'):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
        ctypes.CDLL(None).gnu_get_libc_version  # noqa: B018  # musl has none
    except (OSError, AttributeError):
        return False
    options = {M_TRIM_THRESHOLD: NEVER, M_MMAP_THRESHOLD: ONE_GIB}
    return all(mallopt(option, value) == 1 for option, value in options.items())
