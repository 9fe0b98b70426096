"""Arguments that must be whole numbers."""

import math


def whole_number(name: str, value: float, smallest: int = 1) -> int:
    """Return a value as an integer.

    Args:
        name: Name of the argument.
        value: Its value; 3.0 is 3.
        smallest: The smallest value that is allowed.

    Raises:
        ValueError: If it is no whole number, or smaller.
    """
    if not math.isfinite(value) or value != int(value) or value < smallest:
        raise ValueError(
            f'{name}={value} must be a whole number of at least {smallest}'
        )
    return int(value)
