"""Checkpoints of plain data alone, so that they can be loaded safely."""

from collections import OrderedDict
from collections.abc import Mapping

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from mmimbal.files.safe_globals import ARRAYS

EXACT = (str, bytes, int, float, complex, bool, type(None))
TORCH = (torch.Tensor, torch.dtype, torch.device, torch.Size, HistoryBuffer)
PLAIN = (*EXACT, *TORCH, np.ndarray, np.generic)


def plain_content(content):
    """Return a value without what :func:`load_from_local` refuses.

    Mappings become dicts, and other arrays lists. Other objects are left out of
    mappings: a schedule has its own functions when it is built again. In lists, their
    text stands for them.

    Args:
        content: What a checkpoint contains under a key.
    """
    if type(content) in EXACT or isinstance(content, TORCH):
        return content
    if isinstance(content, np.ndarray | np.generic):
        is_known = content.dtype in [np.dtype(kind) for kind in ARRAYS]
        return content if is_known else plain_content(content.tolist())
    if isinstance(content, Mapping):
        kind = OrderedDict if type(content) is OrderedDict else dict
        return kind(
            (plain_content(key), plain_content(value))
            for key, value in content.items()
            if isinstance(value, (*PLAIN, Mapping, list, tuple, set))
        )
    if isinstance(content, list | tuple | set):
        kind = list if isinstance(content, list) else tuple
        return kind(plain_content(value) for value in content)
    for kind in EXACT[:-1]:
        if isinstance(content, kind):  # a subclass, such as of an enum
            return kind(content)
    return repr(content)
