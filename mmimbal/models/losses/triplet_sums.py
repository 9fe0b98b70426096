"""Sums over all triplets of a batch in O(B^2 log B) time and O(B^2) memory."""

import torch

# Distances sorted at once: few enough for the CPU cache, enough to fill a GPU.
CHUNK = {'cpu': 2**17, 'cuda': 2**24}


def triplet_sums(
    distances: torch.Tensor,
    positive: torch.Tensor,
    negative: torch.Tensor,
    margin: float,
    semi_hard: bool = False,
    low: float = 0.0,
    high: float | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum ``relu(d_ap - d_an + margin)`` over the triplets of each anchor.

    For each anchor, its negatives and its thresholds ``d_ap + margin`` are sorted
    together. Cumulative counts then give the number of negatives nearer than each
    threshold, and the number of thresholds beyond each negative. These counts are the
    gradient. The sum is piecewise linear, so that they also give its value. No triplet
    is materialized.

    Args:
        distances: Distances from B anchors to M images, (B, M), float32 or float64.
        positive: Mask of the positives of each anchor, (B, M), bool.
        negative: Mask of the negatives of each anchor, (B, M), bool.
        margin: Margin, in units of the distances, >= 0.
        semi_hard: Count only triplets whose negative is farther than the positive.
        low: Count only triplets whose loss is above this, >= 0.
        high: Count only triplets whose loss is below this; no bound if ``None``.

    Returns:
        The sum per anchor, (B,), differentiable, and its number of triplets, (B,),
        int64.
    """
    if semi_hard:  # a negative as far as the positive has the margin as loss
        high = margin if high is None else min(high, margin)
    if high is not None and high <= low:
        positive = torch.zeros_like(positive)  # no loss can lie between the bounds
    return _TripletSums.apply(distances, positive, negative, margin, low, high)


class _TripletSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx, distances, positive, negative, margin, low, high):
        chunk_size = CHUNK.get(distances.device.type, CHUNK['cuda'])
        rows = max(1, chunk_size // max(1, distances.shape[1]))
        thresholds = [margin - loss for loss in (low, high) if loss is not None]
        smallest = min((abs(value) for value in thresholds if value), default=0.0)
        exactly = needs_float64(distances, smallest)
        results = []
        for chunk in zip(
            *(part.split(rows) for part in (distances, positive, negative)), strict=True
        ):
            result = _sum_below(*chunk, margin - low, margin, True, exactly)
            if high is not None:  # subtract the triplets that are too hard
                hard = _sum_below(*chunk, margin - high, margin, False, exactly)
                result = [a - b for a, b in zip(result, hard, strict=True)]
            results.append(result)
        sums, counts, gradient = map(torch.cat, zip(*results, strict=True))
        ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(counts)
        # Exactly 0 without triplets, not the rounded difference of two sums.
        return (sums * (counts > 0)).to(distances.dtype), counts

    @staticmethod
    def backward(ctx, gradient, _):
        return gradient[:, None] * ctx.saved_tensors[0], *[None] * 5


def _sum_below(
    distances: torch.Tensor,
    positive: torch.Tensor,
    negative: torch.Tensor,
    threshold: float,
    margin: float,
    strictly: bool,
    exactly: bool,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Sum ``d_ap - d_an + margin`` over negatives with ``d_an < d_ap + threshold``.

    Args:
        distances: (R, M).
        positive: (R, M), bool.
        negative: (R, M), bool.
        threshold: Added to ``d_ap`` for the comparison, of any sign.
        margin: Added to ``d_ap`` in the sum.
        strictly: Whether to compare with ``<`` rather than ``<=``.
        exactly: Whether to compare in float64.

    Returns:
        Sums, (R,), float64, counts, (R,), and the gradient of each sum, (R, M).
    """
    neither = ~(positive | negative)
    compared = distances.double() if exactly else distances.float()
    values = torch.where(positive, compared + threshold, compared)
    values.masked_fill_(neither, torch.inf)  # sorts last
    sort = _sort_exactly if exactly else _sort
    first, column = sort(values, positive == strictly)
    is_positive = first == strictly
    thresholds = is_positive.cumsum(1, dtype=torch.int32)
    nearer = torch.arange(1, 1 + values.shape[1], device=values.device) - thresholds
    farther = thresholds[:, -1:] - thresholds
    sorted_gradient = torch.where(is_positive, nearer, -farther).to(distances.dtype)
    gradient = torch.zeros_like(distances).scatter_(1, column, sorted_gradient)

    counts = torch.where(positive, gradient, 0.0).sum(1, dtype=torch.float64)
    used = distances.double().masked_fill(neither, 0.0)
    sums = torch.linalg.vecdot(gradient.double(), used) + margin * counts
    return sums, counts.long(), gradient


def needs_float64(distances: torch.Tensor, margin: float) -> bool:
    """Return whether float32 rounding of the distances is large for the margin."""
    if distances.dtype == torch.float64:
        return True
    if not margin or not distances.numel():
        return False
    rounding = distances.abs().amax().item() * 2**-24
    return rounding > 1e-3 * margin


def _sort(
    values: torch.Tensor, first: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sort rows, and return the flag ``first`` and the column of each sorted value.

    Among equal values those with ``first`` come first. Value, flag and column are
    packed into one integer, so that one sort of integers is enough. On a CPU NumPy
    sorts them, with SIMD instructions.

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
    columns = torch.arange(values.shape[1], device=values.device)
    keys <<= 32
    keys |= torch.where(first, columns, columns + 2**31)
    if keys.is_cuda:
        keys = keys.sort(dim=1).values
    else:
        keys.numpy().sort(axis=1)
    return keys & 2**31 == 0, keys & (2**31 - 1)


def _sort_exactly(
    values: torch.Tensor, first: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Do the same as :func:`_sort` for any precision, but several times slower."""
    by_flag = (~first).byte().argsort(dim=1, stable=True)
    column = by_flag.gather(1, values.gather(1, by_flag).argsort(dim=1, stable=True))
    return first.gather(1, column), column
