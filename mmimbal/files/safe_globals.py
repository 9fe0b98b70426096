"""Python objects that a checkpoint of mmengine may refer to, besides tensors."""

import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

ARRAYS = ('f4', 'f8', 'i4', 'i8', '?')  # types of arrays that may be loaded
HISTORY_METHODS = ('min', 'max', 'mean', 'current')
_lock = threading.RLock()


@contextmanager
def only_safe_globals() -> Iterator[None]:
    """Allow only the log history of mmengine's own checkpoints, in a block.

    torch has one list of allowed objects per process. Entries that a program has added
    are removed in the block, because an unrestricted ``getattr`` among them would
    replace the restricted one here. They are restored at the end.
    """
    with _lock:
        before = torch.serialization.get_safe_globals()
        _set_allowed(_safe_globals())
        try:
            yield
        finally:
            _set_allowed(before)


def _set_allowed(allowed: list) -> None:
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(allowed)


def _safe_globals() -> list:
    return [
        HistoryBuffer,
        (_history_method, 'builtins.getattr'),
        np.ndarray,
        np.dtype,
        *{type(np.dtype(kind)) for kind in ARRAYS},
        *_numpy_constructors(),
    ]


def _history_method(owner: type, name: str):
    """Replace ``getattr`` in a pickle: return only methods of HistoryBuffer."""
    if owner is not HistoryBuffer or name not in HISTORY_METHODS:
        raise pickle.UnpicklingError(f'getattr({owner!r}, {name!r}) is not allowed')
    return getattr(owner, name)


def _numpy_constructors() -> list:
    """Return NumPy's two pickle functions, with their names in numpy 1 and numpy 2."""
    reconstruct = np.array(0.0).__reduce__()[0]
    scalar = np.float64(0).__reduce__()[0]
    return [
        (function, f'numpy.{core}.multiarray.{name}')
        for function, name in ((reconstruct, '_reconstruct'), (scalar, 'scalar'))
        for core in ('core', '_core')
    ]
