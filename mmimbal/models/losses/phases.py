"""Losses that change in the course of a training."""

from math import ceil


def epochs_of_phase(option: str, value: float, max_epochs: int) -> int:
    """Return how many epochs the first phase of a loss has.

    Args:
        option: Name of the option, for the message.
        value: Number of epochs, or a number between 0 and 1: a share of all epochs,
            which is rounded up and leaves at least one epoch for the second phase.
        max_epochs: Number of epochs of the stage.

    Raises:
        ValueError: If a number of epochs leaves none for the second phase.
    """
    if 0 < value < 1:
        return min(ceil(round(value * max_epochs, 6)), max_epochs - 1)
    if value >= max_epochs:
        raise ValueError(
            f'{option}={value} leaves no epoch for the second phase of the loss: there '
            f'are {max_epochs} epochs. A number between 0 and 1, such as '
            f'{option}=0.5, is a share of them'
        )
    return int(value)


def check_phase(option: str, value: float) -> None:
    """Raise a ValueError if a value is neither a number of epochs nor a share."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or value < 0 or (value > 1 and value != int(value)):
        raise ValueError(
            f'{option}={value!r} must be a number of epochs, or a share of them '
            'between 0 and 1'
        )
