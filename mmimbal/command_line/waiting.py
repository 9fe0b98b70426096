"""Threads of torch that wait do not hold their cores for long."""

import os

TURNS = 10_000  # of a waiting loop, before a thread sleeps: a fraction of a millisecond


def wait_briefly() -> None:
    """Let threads sleep soon while they wait; called before torch is imported.

    The threads of torch wait for each other at the end of each operation. By default,
    libgomp lets them hold their cores for milliseconds meanwhile. On a machine that
    does something else too, the thread that they wait for may not get a core, and a
    training step takes many times as long (``benchmarks/busy_machine.py``).

    What the user has set in ``GOMP_SPINCOUNT`` or ``OMP_WAIT_POLICY`` stays. Other
    libraries than libgomp, such as that of Intel, do not read it.
    """
    if 'OMP_WAIT_POLICY' not in os.environ:
        os.environ.setdefault('GOMP_SPINCOUNT', str(TURNS))
