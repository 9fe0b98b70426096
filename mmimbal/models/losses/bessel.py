"""Logarithms of modified Bessel functions, for any order and argument."""

import math

import torch

SAFE_ORDER = 32  # from here on the expansion below is exact to 1e-10


def log_bessel(squared: torch.Tensor, order: float) -> torch.Tensor:
    """Compute ``log(I_v(x) / x ** v)`` of the modified Bessel function I of order v.

    It is smooth, also at x = 0, where I itself is 0 and its logarithm is infinite. From
    order 32 on, four terms of the uniform expansion of Debye are used (DLMF 10.41.3).
    Lower orders follow from there by the recurrence of ratios of orders, which is
    stable downwards (DLMF 10.33.1).

    Args:
        squared: ``x ** 2``, >= 0, of any shape. It is computed in float64.
        order: The order v, >= 0.

    Returns:
        The logarithm, in the shape and type of ``squared``, differentiable.

    Raises:
        ValueError: If the order is negative.
    """
    if order < 0:
        raise ValueError(f'order={order} must not be negative')
    x2 = squared.double()
    steps = max(0, math.ceil(SAFE_ORDER - order))
    value = _debye(x2, order + steps)
    if steps:
        # ratio: I of the next order, divided by x * I of this one
        ratio = (_debye(x2, order + steps + 1) - value).exp()
        for step in reversed(range(steps)):
            ratio = 1 / (2 * (order + step + 1) + x2 * ratio)
            value = value - ratio.log()
    return value.to(squared.dtype)


def _debye(x2: torch.Tensor, order: float) -> torch.Tensor:
    """Expand ``log(I_v(x) / x ** v)`` for a large order."""
    root = (1 + x2 / order**2).sqrt()
    p = 1 / root
    p2 = p * p
    # u_1 to u_4 of DLMF 10.41.10
    terms = (
        (3 - 5 * p2) / 24,
        (81 + p2 * (-462 + 385 * p2)) / 1152,
        (30375 + p2 * (-369603 + p2 * (765765 - 425425 * p2))) / 414720,
        (
            4465125
            + p2 * (-94121676 + p2 * (349922430 + p2 * (-446185740 + p2 * 185910725)))
        )
        / 39813120,
    )
    series = sum((p / order) ** (n + 1) * term for n, term in enumerate(terms))
    leading = order * (root - math.log(order) - (1 + root).log())
    return (
        leading
        - 0.5 * math.log(2 * math.pi * order)
        - 0.5 * root.log()
        + torch.log1p(series)
    )
