"""Folders that may be no classes: splits, patients, masks."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from mmimbal.datasets.sources.archive import is_system_file
from mmimbal.datasets.sources.source import Image
from mmimbal.datasets.sources.walk import MASK_ENDING, MASK_FOLDER
from mmimbal.datasets.spelling import parts_of_name, split_of

IMAGES = re.compile(r'(.*[ _-])?(images?|imgs?|photos?|pictures?)', re.IGNORECASE)
PART = re.compile(r'(fold|part|split|batch)[ _-]?\d+', re.IGNORECASE)
LEVELS = (
    'If those are the classes, and the folders around them patients or lesions, give '
    '--group-folders; --class-folders if the outer folders are the classes. Otherwise '
    'move the classes up, or write an index.csv'
)
SETTLE = (
    'Say what they are: --split-folders NAME=train|val|test|ignore ..., or '
    '--class-folders if all of them are classes'
)


def refuse_odd_classes(src: Path, names: list[str]) -> None:
    """Raise a ValueError if folders seem no classes, by their names or content."""
    inside = {name: {f.name for f in folders_in(src / name)} for name in names}
    masks = [
        name
        for name in names
        if MASK_FOLDER.fullmatch(name)
        and any(inside[name] & inside[other] for other in names if other != name)
    ]
    if all(PART.fullmatch(name) or _split_in(name) for name in names):
        reason = f'{", ".join(names)} have names of parts of a data set'
    elif all(any(map(split_of, inside[name])) for name in names):
        raise ValueError(
            f'{src}: {", ".join(names)} have folders with names of splits inside. To '
            'keep this split, move them to train/CLASS and test/CLASS, or write an '
            'index.csv with a column split. --class-folders makes a new split. If they '
            'are no classes, give one of them as --src'
        )
    elif masks:
        reason = f'{", ".join(masks)} has the folders of the others inside'
    elif shared := _shared_folders(inside):
        reason = (
            f'{", ".join(names[:4])}{", ..." if len(names) > 4 else ""} have the same '
            f'folders inside: {", ".join(shared)}'
        )
        raise ValueError(f'{src}: {reason}. {LEVELS}')
    else:
        return
    raise ValueError(f'{src}: {reason}, so they may be no classes. {SETTLE}')


def _shared_folders(inside: Mapping[str, set[str]]) -> list[str]:
    """Return names of folders that most of several folders have inside, if any.

    So are classes in folders of patients: at least two names are in most of the
    folders, which are at least four, and twice as many as the names.
    """
    counts = Counter(name for names in inside.values() for name in names)
    shared = sorted(name for name, n in counts.items() if n > max(1, len(inside) / 2))
    is_odd = len(shared) > 1 and len(inside) >= max(4, 2 * len(shared))
    return shared if is_odd else []


def refuse_masks(src: Path, classes: tuple[str, ...]) -> None:
    """Raise a ValueError if the classes are images and their masks."""
    masks = [name for name in classes if MASK_FOLDER.fullmatch(name)]
    if beside := [n for n in classes if MASK_ENDING.sub('', n) in {*classes} - {n}]:
        raise ValueError(
            f'{src}: {", ".join(beside)} seems to hold masks of other classes. Move '
            'them elsewhere, or give --class-folders if they are classes'
        )
    if masks and all(IMAGES.fullmatch(name) for name in set(classes) - set(masks)):
        raise ValueError(
            f'{src}: {", ".join(masks)} seems to hold masks. Give a folder with one '
            'folder of images per class, or --class-folders if masks are a class'
        )


def _split_in(name: str) -> bool:
    """Return whether one of several words of a name is that of a split."""
    words = parts_of_name(name)
    return len(words) > 1 and any(map(split_of, words))


def odd_classes(
    images: list[Image], classes: tuple[str, ...], group_folders: bool
) -> list[str]:
    """Describe classes that are in some splits only, or have splits inside."""
    found = defaultdict(set)
    for image in images:
        found[image.split].add(image.label)
    lines = [
        f'{split} has no images of {", ".join(sorted(set(classes) - labels))}'
        for split, labels in found.items()
        if split and set(classes) - labels
    ]
    depth = 2 if next(iter(found)) or group_folders else 1
    inside = {
        part
        for image in images
        for part in PurePosixPath(image.name).parts[depth:-1]
        if split_of(part)
    }
    if inside:
        lines.append(
            f'folders {", ".join(sorted(inside))} inside of classes were not taken as '
            'splits'
        )
    below = {PurePosixPath(image.name).parts[depth:-1] for image in images} - {()}
    below = {parts for parts in below if not any(map(split_of, parts))}
    if below:
        first = sorted('/'.join(parts) for parts in below)[:3]
        lines.append(
            f'folders inside of classes are neither classes nor groups: '
            f'{", ".join(first)}{", ..." if len(below) > 3 else ""}. If they are '
            'patients, write an index.csv with a column group; if they are the '
            'classes, in folders of patients, give --group-folders'
        )
    return lines


def folders_in(path: Path) -> list[Path]:
    """Return the folders in a folder, sorted, but for those of the system."""
    if not path.is_dir():
        return []
    return sorted(
        f for f in path.iterdir() if f.is_dir() and not is_system_file(f.name)
    )
