"""What was taken of a download, from where, and what was left out."""

from collections import Counter
from pathlib import Path

from mmimbal.datasets.sources.plan import Plan
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


def sentences_of_summary(source: Source, plan: Plan) -> list[str]:
    """Return what was left out, what was guessed, warnings, and absent classes."""
    left_out = [
        f'Left out: {len(files)} {reason}, the first is {files[0]}'
        for reason, files in sorted(source.left_out.items())
    ]
    guessed = [f'Note: {sentence}' for sentence in source.unsure]
    warnings = [f'Warning: {sentence}' for sentence in plan.warnings]
    absent = {
        split: [name for name in source.classes if not count[name]]
        for split, count in plan.counts.items()
    }
    no_image = [
        f'No image of {", ".join(names)} in {split}'
        for split, names in absent.items()
        if names
    ]
    return left_out + guessed + warnings + no_image


def counts_of_plan(
    source: Source, plan: Plan
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return header and rows of a table: images of each split and class."""
    rows = [
        (split, *(str(count[name]) for name in source.classes), str(count.total()))
        for split, count in plan.counts.items()
    ]
    return ('split', *source.classes, 'total'), rows


def _folder_of(image: Image, src: Path, depth: int) -> str:
    try:
        parts = image.path.relative_to(src).parts[:-1]
    except ValueError:  # of another folder
        return str(image.path.parent)
    return '/'.join(parts[:depth]) or '.'
