"""Sums over all triplets of a batch in O(B^2 log B) time and O(B^2) memory."""

import torch

from mmimbal.models.losses.packed_sort import needs_float64, sort_packed

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

    For each anchor, its negatives and its thresholds ``d_ap + margin`` are sorted. This
    gives the number of negatives nearer than each threshold, and the number of
    thresholds beyond each negative. These counts are the gradient. The sum is piecewise
    linear, so that they also give its value. No triplet is materialized. On a GPU
    nothing waits for a value.

    Args:
        distances: Distances from B anchors to M images, (B, M), float32 or float64. If
            they are similarities, exchange the masks.
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
        count = _count_by_search
        if distances.device.type == 'cpu' and not needs_float64(distances, smallest):
            count = _count_by_packed_sort  # faster there
        results = []
        for chunk in zip(
            *(part.split(rows) for part in (distances, positive, negative)), strict=True
        ):
            counts, gradient = count(*chunk, margin - low, True)
            if high is not None:  # subtract the triplets that are too hard
                too_hard, of_too_hard = count(*chunk, margin - high, False)
                counts, gradient = counts - too_hard, gradient - of_too_hard
            sums = (gradient * chunk[0].double()).sum(1)  # exact: large terms cancel
            results.append((sums.add(counts, alpha=margin), counts, gradient))
        sums, counts, gradient = (
            results[0]
            if len(results) == 1
            else map(torch.cat, zip(*results, strict=True))
        )
        ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(counts)
        return sums.to(distances.dtype), counts

    @staticmethod
    def backward(ctx, gradient, _):
        return gradient[:, None] * ctx.saved_tensors[0], *[None] * 5


def _count_by_search(
    distances: torch.Tensor,
    positive: torch.Tensor,
    negative: torch.Tensor,
    threshold: float,
    strictly: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Count the triplets with ``d_an < d_ap + threshold``, in float64.

    Args:
        distances: (R, M).
        positive: (R, M), bool.
        negative: (R, M), bool.
        threshold: Of any sign.
        strictly: Whether to compare with ``<`` rather than ``<=``.

    Returns:
        Counts, (R,), int64, and the gradient of ``d_ap - d_an``, summed over these
        triplets, (R, M).
    """
    distances = distances.double()
    thresholds = torch.where(positive, distances + threshold, -torch.inf)
    values = torch.where(negative, distances, torch.inf)
    nearer = torch.searchsorted(
        values.sort(dim=1).values, thresholds, right=not strictly, out_int32=True
    )
    missed = torch.searchsorted(
        thresholds.sort(dim=1).values, values, right=strictly, out_int32=True
    )
    return nearer.sum(1), nearer + missed - distances.shape[1]


def _count_by_packed_sort(
    distances: torch.Tensor,
    positive: torch.Tensor,
    negative: torch.Tensor,
    threshold: float,
    strictly: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Do the same on a CPU in float32, by one sort of thresholds and negatives."""
    others = torch.where(negative, distances, torch.inf)  # neither of them sorts last
    values = torch.where(positive, distances + threshold, others)
    first, column = sort_packed(values, positive if strictly else ~positive)
    is_positive = first if strictly else ~first
    thresholds = is_positive.cumsum(1, dtype=torch.int32)
    nearer = torch.arange(1, 1 + values.shape[1], dtype=torch.int32) - thresholds
    farther = thresholds[:, -1:] - thresholds
    sorted_gradient = torch.where(is_positive, nearer, -farther).to(distances)
    gradient = torch.empty_like(distances).scatter_(1, column, sorted_gradient)
    counts = gradient.clamp(min=0).sum(1, dtype=torch.float64)  # of the positives
    return counts.long(), gradient
