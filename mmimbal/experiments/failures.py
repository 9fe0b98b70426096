"""Why a tool that ran in a process of its own has failed."""

import re
import signal
from pathlib import Path

# An error, perhaps without a message, or what a tool of ours says.
SAID = re.compile(r'[A-Za-z_][\w.]*: |[\w.]+(Error|Exception|Interrupt)$')


class ToolFailedError(RuntimeError):
    """A tool failed; the message says why, and where its log is."""


def raise_if_failed(code: int, log: Path, start: int) -> None:
    """Raise a ToolFailedError if a tool has failed.

    Args:
        code: What it exited with; negative if a signal ended it.
        log: What it said.
        start: Where in the log that begins, bytes.
    """
    if not code:
        return
    if code < 0:
        reason = f'ended by {signal.Signals(-code).name}'
    else:
        text = log.read_bytes()[start:].decode(errors='replace')
        lines = text.strip().splitlines()
        # An error may go on for lines after that one.
        said = [line for line in lines if SAID.match(line)]
        reason = (said or lines or ['no output'])[-1]
    raise ToolFailedError(f'{reason} (see {log})')
