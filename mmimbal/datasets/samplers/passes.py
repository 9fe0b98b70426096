"""Endless sequences that are drawn a pass at a time."""

from collections.abc import Callable

import numpy as np

SMALL = 4096  # items; fewer have several permutations drawn at once


class Passes:
    """An endless sequence of passes, each drawn from a seed of its own.

    What stands at a position is a function of the seed alone. The pass drawn last is
    kept, so that going forward draws each once.

    Args:
        length: Positions in a pass, > 0.
        draw: Draws a pass, (length, ...).
        seed: Of the sequence.
    """

    def __init__(
        self,
        length: int,
        draw: Callable[[np.random.Generator], np.ndarray],
        seed: tuple[int, ...],
    ) -> None:
        self.length = length
        self.draw = draw
        self.seed = seed
        self.drawn: tuple[int, np.ndarray] | None = None

    def take(self, start: int, count: int) -> np.ndarray:
        """Return what stands at positions from ``start`` on, (count, ...)."""
        number, offset = divmod(start, self.length)
        taken = [self._pass(number)[offset : offset + count]]
        while missing := count - sum(map(len, taken)):
            number += 1
            taken.append(self._pass(number)[:missing])
        return np.concatenate(taken)

    def _pass(self, number: int) -> np.ndarray:
        if self.drawn is None or self.drawn[0] != number:
            self.drawn = number, self.draw(np.random.default_rng((*self.seed, number)))
        return self.drawn[1]


def shuffled_passes(items: np.ndarray, seed: tuple[int, ...]) -> Passes:
    """Return an endless walk over fresh permutations of some items.

    Positions ``p * N`` to ``(p + 1) * N`` hold every item once.

    Args:
        items: What to walk over, (N,), N > 0.
        seed: Of the walk.
    """
    permutations = max(1, SMALL // len(items))

    def draw(random: np.random.Generator) -> np.ndarray:
        if permutations == 1:
            return random.permutation(items)
        rows = np.tile(items, (permutations, 1))
        return random.permuted(rows, axis=1).ravel()

    return Passes(permutations * len(items), draw, seed)
