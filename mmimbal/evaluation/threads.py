"""Use fewer threads of torch for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def limited_threads(number: int) -> Iterator[None]:
    """Use at most so many threads, and at least one, in a block.

    Threads that share cores with other work mostly wait for each other.

    Args:
        number: Number of threads.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, min(number, before)))
    try:
        yield
    finally:
        torch.set_num_threads(before)
