"""The end of every tool: mistakes are messages, not tracebacks."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from mmimbal.command_line.config_mistakes import mistake_in_config
from mmimbal.command_line.failures import ToolFailedError
from mmimbal.command_line.quiet import without_upstream_noise
from mmimbal.command_line.sigterm import HOW_TO_CONTINUE, exit_on_sigterm
from mmimbal.command_line.waiting import wait_briefly
from mmimbal.files.errors import ImageFileError, UnsafeCheckpointError

MISTAKES = (OSError, ValueError, ImportError, ToolFailedError, UnsafeCheckpointError)


def run_tool(main: Callable[[], None], goes_on: bool = False) -> None:
    """Run the main function of a tool.

    Args:
        main: The function.
        goes_on: Whether the same command goes on after SIGTERM or Ctrl-C.

    Raises:
        SystemExit: If the user has made a mistake or stopped the tool; with a message.
    """
    wait_briefly()
    ending = exit_on_sigterm(HOW_TO_CONTINUE) if goes_on else nullcontext()
    stopping = stopped_by_hand(HOW_TO_CONTINUE if goes_on else '')
    with stopping, without_upstream_noise(), ending, messages_for_mistakes():
        main()


@contextmanager
def stopped_by_hand(how_to_continue: str = '') -> Iterator[None]:
    """End the tool with a message after Ctrl-C, in a block.

    Args:
        how_to_continue: A sentence, if the tool can continue.

    Raises:
        SystemExit: Instead of a KeyboardInterrupt.
    """
    try:
        yield
    except KeyboardInterrupt:
        stopped = f'Stopped: {how_to_continue}' if how_to_continue else 'Stopped'
        raise SystemExit(f'\n{stopped}') from None


@contextmanager
def messages_for_mistakes() -> Iterator[None]:
    """End the tool with a message if the user has made a mistake, in a block.

    Raises:
        SystemExit: Instead of the errors of :data:`MISTAKES`, and of those that
            :func:`~mmimbal.command_line.config_mistakes.mistake_in_config` knows.
    """
    with messages_for_config_mistakes():
        try:
            yield
        except MISTAKES as error:
            raise SystemExit(message_of(error)) from None


@contextmanager
def messages_for_config_mistakes() -> Iterator[None]:
    """End the tool with a message if the config has a mistake, in a block.

    Training and testing themselves are in such a block, and in no other: an error of
    somebody's own component needs its traceback. So are images that cannot be read.

    Raises:
        SystemExit: Instead of the errors that
            :func:`~mmimbal.command_line.config_mistakes.mistake_in_config` and
            :func:`unreadable_image` know.
    """
    try:
        yield
    except Exception as error:
        sentence = mistake_in_config(error) or unreadable_image(error)
        if sentence is None:
            raise
        raise SystemExit(message_of(sentence)) from None


def unreadable_image(error: Exception) -> str | None:
    """Return which image of a data set cannot be read, if an error is about that.

    A loader repeats the error of a worker after the worker's traceback.
    """
    if not isinstance(error, ImageFileError):
        return None
    return str(error).split(f'{ImageFileError.__name__}: ')[-1].rstrip()


def message_of(mistake: Exception | str) -> str:
    """Return a mistake after the name of the tool."""
    return f'{Path(sys.argv[0]).stem}: {mistake}'
