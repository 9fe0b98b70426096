"""On a busy machine, threads of torch that wait do not hold their cores for long."""

import os

BUSY = 0.75  # share of the cores
TURNS = 10_000  # of a waiting loop, before a thread sleeps: a fraction of a millisecond


def wait_briefly() -> None:
    """On a busy machine, let threads sleep soon while they wait.

    The threads of torch wait for each other at the end of each operation. By default,
    libgomp lets them hold their cores for milliseconds meanwhile. That is best if
    nothing else runs. If other processes keep all cores busy, the thread that the
    others wait for may not get a core, and a training step takes longer:
    ``benchmarks/busy_machine.py`` measures how much.

    It has an effect before torch is imported. What the user has set in
    ``GOMP_SPINCOUNT`` or ``OMP_WAIT_POLICY`` stays. Other libraries than libgomp, such
    as that of Intel, do not read it.
    """
    if 'OMP_WAIT_POLICY' not in os.environ and is_busy():
        os.environ.setdefault('GOMP_SPINCOUNT', str(TURNS))


def is_busy() -> bool:
    """Return whether processes have kept nearly all cores busy in the last minute."""
    if not hasattr(os, 'getloadavg'):  # Windows
        return False
    return os.getloadavg()[0] >= BUSY * (os.cpu_count() or 1)
