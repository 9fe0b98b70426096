"""End a tool at SIGTERM, and explain workers that were killed."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

STATUS = 128 + signal.SIGTERM
REPEAT = 5.0  # seconds
HAS_ALARM = hasattr(signal, 'SIGALRM')  # Windows has none
HOW_TO_CONTINUE = 'run the same command again to continue'


@contextmanager
def exit_on_sigterm(how_to_continue: str) -> Iterator[None]:
    """Exit with status 143 at SIGTERM; loader workers end too.

    In some places, such as a finalizer or a callback of fork, Python ignores an
    exception. Therefore, an alarm raises it again every few seconds until it arrives
    here. On systems without alarms, it is raised once.

    Args:
        how_to_continue: Advice that is printed for the user.
    """
    process, was_printed = os.getpid(), False

    def stop(*_) -> None:
        nonlocal was_printed
        if os.getpid() == process:  # not in loader workers, which inherit this handler
            if not was_printed:
                # print() is not safe here: the signal may have interrupted a print()
                os.write(1, f'\nStopped by SIGTERM: {how_to_continue}\n'.encode())
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
    """Explain the error of a lost connection to a loader worker.

    Raises:
        RuntimeError: If a loader worker died while it sent a batch.
    """
    try:
        yield
    except ConnectionError as error:
        raise RuntimeError(
            'a loader worker died while it sent a batch. Perhaps the system killed it '
            'because there was too little memory: use a smaller '
            'train_dataloader.num_workers'
        ) from error
