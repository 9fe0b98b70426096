"""Losses that change in the course of a training."""

from math import ceil

from mmimbal.models.needs import EPOCH, missing


class FirstPhase:
    """The first epochs of a stage, in which a loss is another one.

    Args:
        option: Name of the option, for messages.
        value: Number of epochs, or a number between 0 and 1: a share of all epochs,
            which is rounded up and leaves at least one epoch for the second phase.

    Attributes:
        epoch: The epoch of the stage, from 0 on; ``None`` if it is not known.

    Raises:
        ValueError: If the value is neither a number of epochs nor a share.
    """

    epoch: int | None = None
    epochs: int | None = None  # of this phase

    def __init__(self, option: str, value: float) -> None:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or value < 0 or (value > 1 and value != int(value)):
            raise ValueError(
                f'{option}={value!r} must be a number of epochs, or a share of them '
                'between 0 and 1'
            )
        self.option, self.value = option, value

    def set_max_epochs(self, max_epochs: int) -> None:
        """Set the number of epochs of the stage.

        Raises:
            ValueError: If the phase leaves no epoch for the second one.
        """
        self.epochs = epochs_of_phase(self.option, self.value, max_epochs)

    def is_now(self) -> bool:
        """Return whether the epoch is one of this phase.

        Raises:
            RuntimeError: If the epoch, or the number of epochs, is not known.
        """
        if self.epoch is None or self.epochs is None:
            raise RuntimeError(missing(EPOCH, f'{self.option}={self.value}'))
        return self.epoch < self.epochs


def epochs_of_phase(option: str, value: float, max_epochs: int) -> int:
    """Return how many epochs a :class:`FirstPhase` has.

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
