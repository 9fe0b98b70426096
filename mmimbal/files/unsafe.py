"""The error for a file that could run code; apart, because tools import it first."""


class UnsafeCheckpointError(RuntimeError):
    """A checkpoint refers to Python objects that could run code."""
