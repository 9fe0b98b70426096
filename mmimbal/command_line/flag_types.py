"""Types of command-line flags: a wrong value is refused before any work."""

from argparse import ArgumentTypeError
from collections.abc import Callable


def at_least(smallest: int) -> Callable[[str], int]:
    """Return a type for ``add_argument``: a whole number with a lower bound.

    Args:
        smallest: The smallest number that is allowed.
    """

    def parse(text: str) -> int:
        """Raise an ArgumentTypeError if the text is another number, or none."""
        try:
            number = int(text)
        except ValueError:
            number = smallest - 1
        if number < smallest:
            raise ArgumentTypeError(
                f'{text!r} is not a whole number of at least {smallest}'
            )
        return number

    return parse
