"""What is read from a download, before it is written as an ``index.csv``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Image:
    """One labelled image of a download.

    Attributes:
        path: Where the file lies.
        label: Name of its class.
        group: What must not straddle splits; the file itself if ``None``.
        split: Of the download, if it has one.
        centre: Where to crop the file, (x, y) in pixels; the whole file if ``None``.
        name: Path below ``images/`` to write it to; its file name if ``None``.
    """

    path: Path
    label: str
    group: str | None = None
    split: str | None = None
    centre: tuple[int, int] | None = None
    name: str | None = None


@dataclass(frozen=True)
class Source:
    """A download.

    Attributes:
        images: All labelled images.
        classes: Class names in label order.
        origin: Where it comes from.
        licence: Under which terms.
    """

    images: Sequence[Image]
    classes: tuple[str, ...]
    origin: str
    licence: str


def missing_file(path: Path, layout: str) -> FileNotFoundError:
    """Return the error for a download without one of its files."""
    return FileNotFoundError(f'{path} is missing. Expected in --src: {layout}')
