"""Endless walks over the images of a class."""

import numpy as np

SMALL = 4096  # images; smaller classes have several passes drawn at once


class Walk:
    """An endless walk over fresh permutations of some items.

    Positions ``p * len(items)`` to ``(p + 1) * len(items)``, a pass, hold every item
    once. A position's item is a function of the seed alone; the pass drawn last is
    kept, so that going forward costs each pass once.

    Args:
        items: What to walk over, (N,), N > 0.
        seed: Of the walk.
    """

    def __init__(self, items: np.ndarray, seed: tuple[int, ...]) -> None:
        self.items = items
        self.seed = seed
        self.passes = max(1, SMALL // len(items))
        self._drawn: tuple[int, np.ndarray] | None = None

    def take(self, start: int, length: int) -> np.ndarray:
        """Return the items at positions ``start`` to ``start + length``, (length,)."""
        block = self.passes * len(self.items)
        stretch = [self.items[:0]]
        while length:
            number, offset = divmod(start, block)
            stretch.append(self._block(number)[offset : offset + length])
            start += len(stretch[-1])
            length -= len(stretch[-1])
        return np.concatenate(stretch)

    def _block(self, number: int) -> np.ndarray:
        """Return the items of some passes, (passes * N,)."""
        if self._drawn is None or self._drawn[0] != number:
            random = np.random.default_rng((*self.seed, number))
            if self.passes == 1:
                drawn = random.permutation(self.items)
            else:
                rows = np.tile(self.items, (self.passes, 1))
                drawn = random.permuted(rows, axis=1).ravel()
            self._drawn = number, drawn
        return self._drawn[1]
