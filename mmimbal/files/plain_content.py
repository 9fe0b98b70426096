"""Checkpoints of plain data alone, so that they can be loaded safely."""

from collections import OrderedDict
from collections.abc import Mapping

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

PLAIN = (
    *(str, bytes, int, float, complex, bool, type(None)),
    *(torch.Tensor, torch.dtype, torch.device, torch.Size),
    *(np.ndarray, np.generic, HistoryBuffer),
)


def plain_content(content):
    """Return a value without what :func:`load_from_local` refuses.

    Mappings become dicts. Other objects are left out of mappings: a schedule has its
    own functions when it is built again. In lists, their text stands for them.

    Args:
        content: What a checkpoint contains under a key.
    """
    if isinstance(content, PLAIN):
        return content
    if isinstance(content, Mapping):
        kind = OrderedDict if type(content) is OrderedDict else dict
        return kind(
            (key, plain_content(value))
            for key, value in content.items()
            if isinstance(value, (*PLAIN, Mapping, list, tuple, set))
        )
    if isinstance(content, list | tuple | set):
        kind = list if isinstance(content, list) else tuple
        return kind(plain_content(value) for value in content)
    return repr(content)
