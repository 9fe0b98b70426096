"""Sums over all triplets of a batch in O(B^2 log B) time and O(B^2) memory."""

import numpy as np
import torch

CHUNK = 2**20  # distances sorted at once


def triplet_sums(
    distances: torch.Tensor, labels: torch.Tensor, margin: float, semi_hard: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum ``relu(d_ap - d_an + margin)`` over the triplets of each anchor.

    For each anchor, negatives and thresholds ``d_ap + margin`` are sorted together.
    Running counts and sums then give, for each positive, how many negatives are nearer
    than its threshold and what they add up to, and for each negative how many
    thresholds are beyond it: value and gradient of all triplets without making one.

    Args:
        distances: (B, B), float32, from anchor to other.
        labels: (B,).
        margin: In units of the distances, >= 0.
        semi_hard: Count only triplets whose negative is farther than the positive.

    Returns:
        The sum for each anchor, (B,), differentiable, and how many of its triplets are
        above 0, (B,), int64.
    """
    return _TripletSums.apply(distances, labels, margin, semi_hard)


class _TripletSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx, distances, labels, margin, semi_hard):
        sums, counts, gradients = [], [], []
        rows = max(1, CHUNK // len(labels))
        for anchors in torch.arange(len(labels), device=labels.device).split(rows):
            chunk = _sum_below(distances, labels, anchors, margin, margin, True)
            if semi_hard:  # less the triplets whose negative is not beyond the positive
                easy = _sum_below(distances, labels, anchors, 0.0, margin, False)
                chunk = [all_ - part for all_, part in zip(chunk, easy, strict=True)]
            for parts, part in zip((sums, counts, gradients), chunk, strict=True):
                parts.append(part)
        ctx.save_for_backward(torch.cat(gradients))
        counts = torch.cat(counts)
        ctx.mark_non_differentiable(counts)
        # No triplet is exactly 0, not a difference of two equal sums.
        return (torch.cat(sums) * (counts > 0)).to(distances.dtype), counts

    @staticmethod
    def backward(ctx, gradient, _):
        return gradient[:, None] * ctx.saved_tensors[0], None, None, None


def _sum_below(
    distances: torch.Tensor,
    labels: torch.Tensor,
    anchors: torch.Tensor,
    threshold: float,
    margin: float,
    strictly: bool,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Sum ``d_ap - d_an + margin`` over negatives with ``d_an < d_ap + threshold``.

    Args:
        distances: (B, B).
        labels: (B,).
        anchors: Rows to take, (R,).
        threshold: What is added to ``d_ap`` before comparing.
        margin: What is added to ``d_ap`` in the sum.
        strictly: Whether equal is not below.

    Returns:
        Sums, (R,), float64, counts, (R,), and the gradient of each sum, (R, B).
    """
    rows = distances[anchors]
    positive = labels[anchors, None] == labels
    values = torch.where(positive, rows + threshold, rows)
    values.scatter_(1, anchors[:, None], torch.inf)  # no pair with itself: sorts last
    value, first, column = _sort(values, positive == strictly)
    is_positive = first == strictly
    nearer = (~is_positive).cumsum(1)
    total = torch.where(is_positive, 0.0, value).cumsum(1, dtype=torch.float64)
    farther = is_positive.sum(1, keepdim=True) - is_positive.cumsum(1)

    nearer = torch.where(is_positive, nearer, 0)
    extra = value.double() + (margin - threshold)
    sums = torch.where(is_positive, nearer * extra - total, 0.0).sum(1)
    sums = sums + 0 * rows.sum(1)  # NaN stays NaN
    sorted_gradient = torch.where(is_positive, nearer, -farther).to(rows.dtype)
    gradient = torch.zeros_like(rows).scatter_(1, column, sorted_gradient)
    return sums, nearer.sum(1), gradient


def _sort(
    values: torch.Tensor, first: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Sort rows, with a mark and the column of each value; drop the last of each row.

    Among equal values those marked ``first`` come first. Value, mark and column are
    packed into one integer, so that one sort of plain numbers does it: on a CPU
    NumPy's, which uses wide vector instructions.

    Args:
        values: (R, B); compared in float32.
        first: (R, B), bool.

    Returns:
        Values, marks and columns, (R, B - 1).
    """
    bits = _ordered(values.float().view(torch.int32))
    columns = torch.arange(values.shape[1], device=values.device)
    keys = (bits.long() << 32) | (~first).long() << 31 | columns
    if keys.is_cuda:
        keys = keys.sort(dim=1).values
    else:
        keys = torch.from_numpy(np.sort(keys.numpy(), axis=1))
    keys = keys[:, :-1]
    column = keys & 0x7FFFFFFF
    if values.dtype == torch.float32:
        value = _ordered((keys >> 32).int()).view(torch.float32)
    else:  # sorted as float32, summed as they are
        value = values.gather(1, column)
    return value, keys & 0x80000000 == 0, column


def _ordered(bits: torch.Tensor) -> torch.Tensor:
    """Turn the bits of floats into integers of the same order, and back."""
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)
