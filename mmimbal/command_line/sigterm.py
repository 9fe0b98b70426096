"""How a tool ends when a scheduler or user asks it to, and what it says then."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

STATUS = 128 + signal.SIGTERM
REPEAT = 5.0  # seconds
HAS_ALARM = hasattr(signal, 'SIGALRM')  # Windows has none


@contextmanager
def exit_on_sigterm(how_to_go_on: str) -> Iterator[None]:
    """Exit with status 143 at SIGTERM; the workers of loaders end too.

    Python drops an exception that is raised in some places, such as a finalizer or a
    callback of fork. An alarm therefore raises it again every few seconds until it
    arrives here. Without alarms, it is raised once.

    Args:
        how_to_go_on: What is printed for the user.
    """
    process, was_printed = os.getpid(), False

    def stop(*_) -> None:
        nonlocal was_printed
        if os.getpid() == process:  # a worker has inherited this function
            if not was_printed:
                # print() may be what was interrupted
                os.write(1, f'\nStopped by SIGTERM: {how_to_go_on}\n'.encode())
            was_printed = True
            if HAS_ALARM:
                signal.setitimer(signal.ITIMER_REAL, REPEAT)
        sys.exit(STATUS)

    signals = (signal.SIGTERM, *((signal.SIGALRM,) if HAS_ALARM else ()))
    before = [signal.signal(number, stop) for number in signals]
    try:
        yield
    finally:
        if HAS_ALARM:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def explain_dead_workers() -> Iterator[None]:
    """Say what a lost connection to a worker means.

    Raises:
        RuntimeError: If a worker of a loader died while it handed over a batch.
    """
    try:
        yield
    except ConnectionError as error:
        raise RuntimeError(
            'a worker of a loader died while it handed over a batch. Perhaps the '
            'system killed it because memory was short: try a smaller '
            'train_dataloader.num_workers'
        ) from error
