"""Datasets with one folder per class."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from mmimbal.datasets.sources.archive import is_system_file
from mmimbal.datasets.sources.odd_folders import (
    SETTLE,
    folders_in,
    odd_classes,
    refuse_masks,
    refuse_odd_classes,
)
from mmimbal.datasets.sources.source import Image, Source
from mmimbal.datasets.sources.walk import (
    SUFFIXES,
    files_below,
    reason_to_leave_out,
)
from mmimbal.datasets.spelling import check_near_equal, split_of

IGNORE = 'ignore'


def read_folders(
    src: Path,
    origin: str = 'unknown',
    licence: str = 'unknown',
    split_folders: Mapping[str, str] | None = None,
    class_folders: bool = False,
    group_folders: bool = False,
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
        group_folders: Whether the folders are groups, such as patients, and those
            inside of them classes: ``GROUP/CLASS/**/*.jpg``.

    Raises:
        FileNotFoundError: If there are no folders with images.
        ValueError: If some folders look like splits and others do not, a folder of
            ``split_folders`` is missing, or two classes have almost the same name.
    """
    if not src.is_dir():
        raise FileNotFoundError(f'--src: there is no folder {src}')
    folders = folders_in(src)
    unsure = []
    while len(folders) == 1 and folders_in(folders[0]):
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
        src, folders = folders[0], folders_in(folders[0])
    names = [folder.name for folder in folders]
    are_known = class_folders or group_folders
    roles = {} if are_known else _roles(src, names, split_folders)
    if roles and not split_folders:
        said = ', '.join(f'{name} as {split}' for name, split in roles.items())
        unsure.append(f'folders of {src.name} were taken as splits: {said}')
    images, left_out = _read(src, roles, group_folders)
    if not images:
        expected = (
            'one folder per group, with one folder of images per class in each. '
            'Without --group-folders: one folder of images per class'
            if group_folders
            else 'one folder of images per class'
        )
        raise FileNotFoundError(
            f'{src} has no folders with images. Expected in --src: {expected}'
            f'{_described(left_out)}'
        )
    labels = [image.label for image in images]
    check_near_equal(labels, 'class folders', src)
    if group_folders:
        groups = [image.group for image in images]
        check_near_equal(groups, 'group folders', src)
        if all(map(split_of, groups)):
            raise ValueError(
                f'--group-folders: {", ".join(sorted(set(groups)))} of {src} have '
                'names of splits, not of groups: leave out the flag'
            )
    tops = [top for top in folders if roles.get(top.name) != IGNORE]
    inner = roles or group_folders
    wanted = [f.name for top in tops for f in folders_in(top)] if inner else names
    without = sorted(set(wanted) - set(labels))
    if without:
        unsure.append(f'no image was taken of {", ".join(without)}: it is no class')
    classes = tuple(sorted(set(labels)))
    if not class_folders:
        refuse_masks(src, classes)
    unsure += odd_classes(images, classes, group_folders)
    return Source(images, classes, origin, licence, left_out, unsure)


def _read(
    src: Path, roles: Mapping[str, str], group_folders: bool
) -> tuple[list[Image], dict[str, list[PurePosixPath]]]:
    """Return the images, and the files that are left out by reason."""
    depth = 2 if roles or group_folders else 1
    files = list(files_below(src))
    names = {f.with_suffix('') for f in files if f.suffix.lower() in SUFFIXES}
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
        group = file.parts[0] if group_folders else None
        images.append(Image(src / file, label, group, split, file.as_posix()))
    return images, dict(left_out)


def _described(left_out: Mapping[str, list[PurePosixPath]]) -> str:
    """Return how many files were left out, and why."""
    reasons = [f'{len(files)} {reason}' for reason, files in left_out.items()]
    return f'. Left out: {", ".join(reasons)}' if reasons else ''


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
            refuse_odd_classes(src, names)
        return {}
    if others:
        same = {
            folder.name
            for name in others
            for folder in folders_in(src / name)
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
