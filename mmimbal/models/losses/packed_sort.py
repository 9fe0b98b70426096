"""A fast sort of distances on a CPU that tells where each came from."""

from threading import Thread

import numpy as np
import torch

ENOUGH = 2**15  # keys: for fewer, to start a thread takes longer than to sort


def needs_float64(distances: torch.Tensor, margin: float) -> bool:
    """Return whether float32 rounding of the distances is large for the margin."""
    if distances.dtype == torch.float64:
        return True
    if not margin or not distances.numel():
        return False
    rounding = distances.abs().amax().item() * 2**-24
    return rounding > 1e-3 * margin


def sort_packed(
    values: torch.Tensor, first: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sort rows, and return the flag ``first`` and the column of each sorted value.

    Among equal values those with ``first`` come first. Value, flag and column are
    packed into one integer, so that one sort of integers is enough. NumPy sorts them,
    with SIMD instructions, in as many threads as torch has.

    Args:
        values: (R, M), float32.
        first: (R, M), bool.

    Returns:
        Flags and columns, (R, M).
    """
    bits = (values + 0.0).view(torch.int32)  # turns -0.0 into 0.0
    keys = (
        bits ^ ((bits >> 31) & 0x7FFFFFFF)
    ).long()  # integers in the order of the floats
    columns = torch.arange(values.shape[1])
    keys <<= 32
    keys |= torch.where(first, columns, columns + 2**31)
    _sort_rows(keys.numpy(), torch.get_num_threads())
    return keys & 2**31 == 0, keys & (2**31 - 1)


def _sort_rows(keys: np.ndarray, threads: int) -> None:
    """Sort the rows of an array in place; NumPy lets other threads run meanwhile."""
    parts = np.array_split(keys, threads if keys.size >= ENOUGH else 1)
    others = [Thread(target=part.sort, kwargs=dict(axis=1)) for part in parts[1:]]
    for thread in others:
        thread.start()
    parts[0].sort(axis=1)
    for thread in others:
        thread.join()
