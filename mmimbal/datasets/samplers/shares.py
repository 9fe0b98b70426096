"""Shares of the classes in an epoch."""

import numpy as np


def power_shares(counts: np.ndarray, power: float) -> np.ndarray:
    """Return shares proportional to ``counts ** power`` (arXiv:1910.09217).

    Args:
        counts: Images per class, (K,), all > 0.
        power: 1 for natural, 0.5 for square-root, 0 for class-balanced and -1 for
            reversed shares (https://arxiv.org/abs/1912.02413).

    Returns:
        Shares, (K,), summing to 1.
    """
    shares = counts.astype(float) ** power
    return shares / shares.sum()


def effective_shares(counts: np.ndarray, beta: float) -> np.ndarray:
    """Return shares with images weighted by 1 / effective number (arXiv:1901.05555).

    An image of a class of ``n`` images has weight ``(1 - beta) / (1 - beta ** n)``:
    1 for ``beta = 0``, nearly ``1 / n`` for ``beta`` close to 1.

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

    Each is rounded down. The largest remainders are then rounded up, earlier classes
    first, until the sum is ``total``.
    """
    exact = shares / shares.sum() * total
    quotas = np.floor(exact).astype(np.int64)
    order = np.argsort(quotas - exact, kind='stable')
    quotas[order[: total - quotas.sum()]] += 1
    return quotas


def at_least_one(quotas: np.ndarray) -> np.ndarray:
    """Raise quotas of 0, (K,), to 1, and lower the largest quotas, if possible."""
    quotas = quotas.copy()
    while not quotas.all() and quotas.max() > 1:
        quotas[quotas.argmax()] -= 1
        quotas[quotas.argmin()] += 1
    return quotas
