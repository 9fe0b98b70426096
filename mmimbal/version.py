"""The version of mmimbal."""

__version__ = '0.1.0'
