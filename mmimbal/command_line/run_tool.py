"""The end of every tool: mistakes are messages, not tracebacks."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
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
    ending = exit_on_sigterm(HOW_TO_CONTINUE) if goes_on else nullcontext()
    try:
        with without_upstream_noise(), ending, messages_for_mistakes():
            main()
    except KeyboardInterrupt:
        stopped = f'Stopped: {HOW_TO_CONTINUE}' if goes_on else 'Stopped'
        raise SystemExit(f'\n{stopped}') from None


@contextmanager
def messages_for_mistakes() -> Iterator[None]:
    """End the tool with a message if the user has made a mistake, in a block.

    Training and testing themselves are not in such a block: an error of somebody's own
    component needs its traceback.

    Raises:
        SystemExit: Instead of the errors of :data:`MISTAKES`.
    """
    try:
        yield
    except MISTAKES as error:
        raise SystemExit(f'{Path(sys.argv[0]).stem}: {error}') from None
