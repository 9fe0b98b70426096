"""What was taken of a download, from where, and what was left out."""

from collections import Counter
from pathlib import Path

from mmimbal.datasets.sources.source import Image, Source

MOST_ROWS = 40
HEADER = ('folder', 'split', 'class', 'images')


def rows_of_summary(source: Source, src: Path) -> list[tuple[str, ...]]:
    """Return rows of folder, split, class and number of images.

    Args:
        source: What was read.
        src: The folder or file it was read from.

    Returns:
        At most :data:`MOST_ROWS` rows, if shorter paths of the folders allow it.
    """
    for depth in (3, 2, 1, 0):
        counts = Counter(
            (_folder_of(image, src, depth), image.split or '-', image.label)
            for image in source.images
        )
        if len(counts) <= MOST_ROWS:
            break
    return [(*key, str(count)) for key, count in sorted(counts.items())]


def sentences_of_summary(source: Source) -> list[str]:
    """Return what was left out, by reason, and then what was guessed."""
    left_out = [
        f'Left out: {len(files)} {reason}, the first is {files[0]}'
        for reason, files in sorted(source.left_out.items())
    ]
    return left_out + [f'Note: {sentence}' for sentence in source.unsure]


def _folder_of(image: Image, src: Path, depth: int) -> str:
    try:
        parts = image.path.relative_to(src).parts[:-1]
    except ValueError:  # of another folder
        return str(image.path.parent)
    return '/'.join(parts[:depth]) or '.'
