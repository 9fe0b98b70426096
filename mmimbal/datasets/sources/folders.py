"""Datasets with one folder per class."""

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from mmimbal.datasets.sources.archive import is_system_file
from mmimbal.datasets.sources.source import Image, Source
from mmimbal.datasets.sources.walk import (
    MASK_FOLDER,
    files_below,
    reason_to_leave_out,
)
from mmimbal.datasets.spelling import check_near_equal, split_of

IGNORE = 'ignore'
IMAGES = re.compile(r'(.*[ _-])?(images?|imgs?|photos?|pictures?)', re.IGNORECASE)
PART = re.compile(r'(fold|part|split|batch)[ _-]?\d+', re.IGNORECASE)
SETTLE = (
    'Say what they are: --split-folders NAME=train|val|test|ignore ..., or '
    '--class-folders if all of them are classes'
)


def read_folders(
    src: Path,
    origin: str = 'unknown',
    licence: str = 'unknown',
    split_folders: Mapping[str, str] | None = None,
    class_folders: bool = False,
) -> Source:
    """Read ``CLASS/**/*.jpg``, or ``train/CLASS``, ``val/CLASS``, ``test/CLASS``.

    Classes are the sorted names of the folders. Splits are known by their usual names,
    such as ``Training`` or ``valid``. Links are followed. Masks, previews and other
    files are left out and counted.

    Args:
        src: The folder that holds the class folders, directly or in one folder.
        origin: Source of the images.
        licence: Licence of the images.
        split_folders: ``'train'``, ``'val'``, ``'test'`` or ``'ignore'`` for the name
            of each folder; guessed from the names if ``None``.
        class_folders: Whether all folders are classes, whatever their names.

    Raises:
        FileNotFoundError: If there are no folders with images.
        ValueError: If some folders look like splits and others do not, a folder of
            ``split_folders`` is missing, or two classes have almost the same name.
    """
    if not src.is_dir():
        raise FileNotFoundError(f'--src: there is no folder {src}')
    folders = _folders(src)
    unsure = []
    while len(folders) == 1 and _folders(folders[0]):
        if folders[0].name in (split_folders or ()):
            break
        outside = sorted(
            f.name for f in src.iterdir() if f.is_file() and not is_system_file(f.name)
        )
        if outside:
            unsure.append(
                f'only {folders[0].name} was read; beside it are {len(outside)} files, '
                f'such as {outside[0]}'
            )
        else:
            unsure.append(f'the only folder, {folders[0].name}, was entered')
        src, folders = folders[0], _folders(folders[0])
    names = [folder.name for folder in folders]
    roles = {} if class_folders else _roles(src, names, split_folders)
    if roles and not split_folders:
        said = ', '.join(f'{name} as {split}' for name, split in roles.items())
        unsure.append(f'folders of {src.name} were taken as splits: {said}')
    images, left_out = _read(src, roles)
    if not images:
        raise FileNotFoundError(
            f'{src} has no folders with images. Expected in --src: one folder of '
            'images per class'
        )
    labels = [image.label for image in images]
    check_near_equal(labels, 'class folders', src)
    tops = [top for top in folders if roles.get(top.name) != IGNORE]
    wanted = [f.name for top in tops for f in _folders(top)] if roles else names
    without = sorted(set(wanted) - set(labels))
    if without:
        unsure.append(f'no image was taken of {", ".join(without)}: it is no class')
    classes = tuple(sorted(set(labels)))
    if not class_folders:
        _refuse_masks(src, classes)
    unsure += _odd_classes(images, classes)
    return Source(images, classes, origin, licence, left_out, unsure)


def _read(
    src: Path, roles: Mapping[str, str]
) -> tuple[list[Image], dict[str, list[PurePosixPath]]]:
    """Return the images, and the files that are left out by reason."""
    depth = 2 if roles else 1
    files = list(files_below(src))
    names = {file.with_suffix('') for file in files}
    images, left_out = [], defaultdict(list)
    for file in files:
        split = roles.get(file.parts[0]) if roles else None
        reason = reason_to_leave_out(src, file, names, depth)
        if not reason and roles and split in (None, IGNORE):
            reason = f'in the folder {file.parts[0]}, which is ignored'
        if not reason and len(file.parts) <= depth:
            reason = 'in no class folder'
        if reason:
            left_out[reason].append(file)
            continue
        label = file.parts[depth - 1]
        images.append(Image(src / file, label, split=split, name=file.as_posix()))
    return images, dict(left_out)


def _roles(
    src: Path, names: list[str], given: Mapping[str, str] | None
) -> dict[str, str]:
    """Return the split of each folder; empty if folders are classes.

    Raises:
        ValueError: If a given folder is missing, or only some look like splits.
    """
    if given:
        missing = sorted(set(given) - set(names))
        if missing:
            raise ValueError(
                f'--split-folders: {src} has no folder {", ".join(missing)}; it has '
                f'{", ".join(names)}'
            )
        return {name: given.get(name, IGNORE) for name in names}
    splits = {name: split_of(name) for name in names}
    others = [name for name, split in splits.items() if split is None]
    if len(others) == len(names):
        if names:
            _refuse_odd_classes(src, names)
        return {}
    if others:
        same = {
            folder.name
            for name in others
            for folder in _folders(src / name)
            if folder.name in names
            or any((src / n / folder.name).is_dir() for n in splits if n != name)
        }
        inside = f' ({", ".join(sorted(same))} are in several of them)' if same else ''
        known = [name for name, split in splits.items() if split]
        raise ValueError(
            f'{src}: the folders {", ".join(known)} have names of splits, but '
            f'{", ".join(others)} have not{inside}. {SETTLE}'
        )
    return splits


def _refuse_odd_classes(src: Path, names: list[str]) -> None:
    """Raise a ValueError if folders seem no classes, by their names or content."""
    inside = {name: {f.name for f in _folders(src / name)} for name in names}
    masks = [
        name
        for name in names
        if MASK_FOLDER.fullmatch(name)
        and any(inside[name] & inside[other] for other in names if other != name)
    ]
    if all(PART.fullmatch(name) or _split_in(name) for name in names):
        reason = f'{", ".join(names)} have names of parts of a data set'
    elif all(any(map(split_of, inside[name])) for name in names):
        reason = f'{", ".join(names)} have folders with names of splits inside'
    elif masks:
        reason = f'{", ".join(masks)} has the folders of the others inside'
    else:
        return
    raise ValueError(f'{src}: {reason}, so they may be no classes. {SETTLE}')


def _refuse_masks(src: Path, classes: tuple[str, ...]) -> None:
    """Raise a ValueError if the classes are images and their masks."""
    masks = [name for name in classes if MASK_FOLDER.fullmatch(name)]
    if masks and all(IMAGES.fullmatch(name) for name in set(classes) - set(masks)):
        raise ValueError(
            f'{src}: {", ".join(masks)} seems to hold masks. Give a folder with one '
            'folder of images per class, or --class-folders if masks are a class'
        )


def _split_in(name: str) -> bool:
    """Return whether one of several words of a name is that of a split."""
    words = re.split(r'[ _-]+', name)
    return len(words) > 1 and any(map(split_of, words))


def _odd_classes(images: list[Image], classes: tuple[str, ...]) -> list[str]:
    """Describe classes that are in some splits only, or have splits inside."""
    found = defaultdict(set)
    for image in images:
        found[image.split].add(image.label)
    lines = [
        f'{split} has no images of {", ".join(sorted(set(classes) - labels))}'
        for split, labels in found.items()
        if split and set(classes) - labels
    ]
    depth = 2 if next(iter(found)) else 1
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
    if below:
        first = sorted('/'.join(parts) for parts in below)[:3]
        lines.append(
            f'folders inside of classes are neither classes nor groups: '
            f'{", ".join(first)}{", ..." if len(below) > 3 else ""}. If they are '
            'patients, write an index.csv with a column group'
        )
    return lines


def _folders(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return sorted(
        f for f in path.iterdir() if f.is_dir() and not is_system_file(f.name)
    )
