"""What a checkpoint of mmengine may refer to besides tensors."""

import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

HISTORY_METHODS = ('min', 'max', 'mean', 'current')
_only_one = threading.RLock()


@contextmanager
def only_safe_globals() -> Iterator[None]:
    """Allow, in a block, what mmengine's own checkpoints hold, and nothing else.

    That is the log history. torch keeps one list for the whole process: what a program
    has put there is put aside, and put back afterwards. Its ``getattr`` would take the
    place of our guarded one.
    """
    with _only_one:
        before = torch.serialization.get_safe_globals()
        _replace_by(_safe_globals())
        try:
            yield
        finally:
            _replace_by(before)


def _replace_by(allowed: list) -> None:
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(allowed)


def _safe_globals() -> list:
    return [
        HistoryBuffer,
        (_history_method, 'builtins.getattr'),
        np.ndarray,
        np.dtype,
        *{type(np.dtype(kind)) for kind in ('f4', 'f8', 'i4', 'i8', '?')},
        *_numpy_constructors(),
    ]


def _history_method(owner: type, name: str):
    """Stand in for ``getattr`` in a pickle: methods of HistoryBuffer only."""
    if owner is not HistoryBuffer or name not in HISTORY_METHODS:
        raise pickle.UnpicklingError(f'getattr({owner!r}, {name!r}) is not allowed')
    return getattr(owner, name)


def _numpy_constructors() -> list:
    """Name the two functions NumPy pickles with, as numpy 1 and numpy 2 spell them."""
    reconstruct = np.array(0.0).__reduce__()[0]
    scalar = np.float64(0).__reduce__()[0]
    return [
        (function, f'numpy.{core}.multiarray.{name}')
        for function, name in ((reconstruct, '_reconstruct'), (scalar, 'scalar'))
        for core in ('core', '_core')
    ]
