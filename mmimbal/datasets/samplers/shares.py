"""How often each class is drawn."""

import numpy as np


def power_shares(counts: np.ndarray, power: float) -> np.ndarray:
    """Return shares proportional to ``counts ** power`` (arXiv:1910.09217).

    Args:
        counts: Images per class, (K,), all > 0.
        power: 1 natural, 0.5 square root, 0 balanced, -1 reversed
            (https://arxiv.org/abs/1912.02413).

    Returns:
        Shares, (K,), summing to 1.
    """
    shares = counts.astype(float) ** power
    return shares / shares.sum()


def effective_shares(counts: np.ndarray, beta: float) -> np.ndarray:
    """Return shares of images weighted by 1 / effective number (arXiv:1901.05555).

    An image of a class of ``n`` weighs ``(1 - beta) / (1 - beta ** n)``: as much as all
    others for ``beta = 0``, ``1 / n`` for ``beta`` close to 1.

    Args:
        counts: Images per class, (K,), all > 0.
        beta: In [0, 1).

    Returns:
        Shares, (K,), summing to 1.
    """
    shares = counts / (1 - beta ** counts.astype(float))
    return shares / shares.sum()


def largest_remainder(shares: np.ndarray, total: int) -> np.ndarray:
    """Split ``total`` into integers proportional to shares, (K,).

    Each is rounded down, and what remains goes to the largest remainders, earlier
    classes first.
    """
    exact = shares / shares.sum() * total
    quotas = np.floor(exact).astype(np.int64)
    order = np.argsort(quotas - exact, kind='stable')
    quotas[order[: total - quotas.sum()]] += 1
    return quotas


def at_least_one(quotas: np.ndarray) -> np.ndarray:
    """Return quotas, (K,), none of them 0: the largest give way, while they can."""
    quotas = quotas.copy()
    while not quotas.all() and quotas.max() > 1:
        quotas[quotas.argmax()] -= 1
        quotas[quotas.argmin()] += 1
    return quotas
