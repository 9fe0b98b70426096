"""Endless sequences, drawn without replacement a round at a time."""

from collections.abc import Callable

import numpy as np

SMALL = 4096  # images; for smaller classes a round has several permutations


class EndlessSequence:
    """An endless sequence of rounds, each drawn with its own seed.

    The value at a position depends on the seed alone. Only the last round is kept, so
    that reading forwards draws each round once.

    Args:
        length: Values in a round, > 0.
        draw: Draws a round, (length, ...).
        seed: Seed of the sequence.
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
        """Return ``count`` values from position ``start`` on, (count, ...)."""
        number, offset = divmod(start, self.length)
        taken = [self._round(number)[offset : offset + count]]
        while missing := count - sum(map(len, taken)):
            number += 1
            taken.append(self._round(number)[:missing])
        return np.concatenate(taken)

    def _round(self, number: int) -> np.ndarray:
        if self.drawn is None or self.drawn[0] != number:
            self.drawn = number, self.draw(np.random.default_rng((*self.seed, number)))
        return self.drawn[1]


def endless_permutations(images: np.ndarray, seed: tuple[int, ...]) -> EndlessSequence:
    """Return an endless sequence of random permutations of some images.

    Positions ``p * N`` to ``(p + 1) * N`` hold every image once.

    Args:
        images: Dataset indices, (N,), N > 0.
        seed: Seed of the sequence.
    """
    permutations = max(1, SMALL // len(images))

    def draw(random: np.random.Generator) -> np.ndarray:
        # NumPy shuffles 64-bit integers much faster than smaller ones, in the same way.
        if permutations == 1:
            return images[random.permutation(len(images))]
        rows = np.tile(images.astype(np.int64), (permutations, 1))
        return random.permuted(rows, axis=1).ravel().astype(images.dtype)

    return EndlessSequence(permutations * len(images), draw, seed)
