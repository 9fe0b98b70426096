"""The end of every tool: mistakes are messages, not tracebacks."""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from mmimbal.command_line.failures import ToolFailedError
from mmimbal.command_line.quiet import without_upstream_noise
from mmimbal.command_line.sigterm import HOW_TO_CONTINUE, exit_on_sigterm

MISTAKES = (OSError, ValueError, ImportError, ToolFailedError)


def run_tool(main: Callable[[], None], goes_on: bool = False) -> None:
    """Run the main function of a tool.

    Args:
        main: The function.
        goes_on: Whether the same command goes on after SIGTERM or Ctrl-C.

    Raises:
        SystemExit: If the user has made a mistake or stopped the tool; with a message.
    """
    name = Path(sys.argv[0]).stem
    ending = exit_on_sigterm(HOW_TO_CONTINUE) if goes_on else nullcontext()
    try:
        with without_upstream_noise(), ending:
            main()
    except KeyboardInterrupt:
        stopped = f'Stopped: {HOW_TO_CONTINUE}' if goes_on else 'Stopped'
        raise SystemExit(f'\n{stopped}') from None
    except MISTAKES as error:
        raise SystemExit(f'{name}: {error}') from None
