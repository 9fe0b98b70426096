"""Numbers in the state dict that can be read without waiting for a GPU."""

from torch import nn


class KnownNumbers(nn.Module):
    """Base class of losses that keep numbers, such as an epoch, in buffers.

    To read a buffer, the CPU would wait for the GPU in every step. So each number is
    read once, also after loading a checkpoint, and then known.
    """

    def __init__(self) -> None:
        super().__init__()
        self._known = {}  # by the name of the buffer

    def number(self, name: str) -> int:
        """Return the number in a buffer."""
        if name not in self._known:
            self._known[name] = int(getattr(self, name))
        return self._known[name]

    def set_number(self, name: str, number: int) -> None:
        """Set the number in a buffer."""
        getattr(self, name).fill_(number)
        self._known[name] = number

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._known.clear()
