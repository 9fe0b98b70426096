"""Errors about files; apart, because tools import them first."""


class UnsafeCheckpointError(RuntimeError):
    """A checkpoint refers to Python objects that could run code."""


class ImageFileError(RuntimeError):
    """An image of a data set is missing or cannot be decoded."""
