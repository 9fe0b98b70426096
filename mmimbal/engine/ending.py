"""How a training ends that does not come to its end."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

STATUS = 128 + signal.SIGTERM
PATIENCE = 5.0  # seconds


@contextmanager
def ending_on_sigterm(how_to_go_on: str) -> Iterator[None]:
    """End with status 143 at a scheduler's SIGTERM, workers of loaders with it.

    Python drops an exception that is raised in some places, such as a finalizer or a
    callback of fork. It is therefore raised again every few seconds until it gets here.

    Args:
        how_to_go_on: What the user is told.
    """
    process, told = os.getpid(), False

    def stop(*_) -> None:
        nonlocal told
        if os.getpid() == process:  # and no worker, which has inherited this
            if not told:
                # print() may be what was interrupted
                os.write(1, f'\nStopped by SIGTERM: {how_to_go_on}\n'.encode())
            told = True
            signal.setitimer(signal.ITIMER_REAL, PATIENCE)
        sys.exit(STATUS)

    signals = (signal.SIGTERM, signal.SIGALRM)
    before = [signal.signal(number, stop) for number in signals]
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def naming_dead_workers() -> Iterator[None]:
    """Say what a lost connection means.

    Raises:
        RuntimeError: If a worker of a loader died while it handed over a batch.
    """
    try:
        yield
    except ConnectionError as error:
        raise RuntimeError(
            'a worker of a loader died while it handed over a batch: was it killed for '
            'want of memory? Try a smaller train_dataloader.num_workers'
        ) from error
