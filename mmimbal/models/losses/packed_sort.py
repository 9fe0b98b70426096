"""A fast sort of distances on a CPU that tells where each came from."""

import torch


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
    with SIMD instructions.

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
    keys.numpy().sort(axis=1)
    return keys & 2**31 == 0, keys & (2**31 - 1)
