"""Find out why a tool in a child process has failed."""

import re
import signal
from pathlib import Path

# 'ValueError: message', 'benchmark: message', or the name of an error alone.
ERROR_LINE = re.compile(r'[A-Za-z_][\w.]*: |[\w.]+(Error|Exception|Interrupt)$')


class ToolFailedError(RuntimeError):
    """A tool failed; the message has the reason and the path of the log."""


def raise_if_failed(code: int, log: Path, start: int) -> None:
    """Raise a ToolFailedError if a tool has failed.

    Args:
        code: Exit status of the tool; negative if a signal ended it.
        log: File with its output.
        start: Position in the log where its output begins, in bytes.
    """
    if not code:
        return
    if code < 0:
        reason = f'ended by {signal.Signals(-code).name}'
    else:
        text = log.read_bytes()[start:].decode(errors='replace')
        lines = text.strip().splitlines()
        # The message of an error may have further lines.
        error_lines = [line for line in lines if ERROR_LINE.match(line)]
        reason = (error_lines or lines or ['no output'])[-1]
    raise ToolFailedError(f'{reason} (see {log})')
