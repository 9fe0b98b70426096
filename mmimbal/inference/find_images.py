"""Images to predict: files of a folder, or those of a split."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from mmimbal.datasets.csv_dataset import CSVDataset
from mmimbal.datasets.index_file import read_index, rows_of_split
from mmimbal.datasets.sources.walk import (
    BROKEN_LINKS,
    CANNOT_DECODE,
    OWN_FILES,
    SUFFIXES,
    check_file_name,
    files_below,
    reason_to_leave_out,
)

NO_IMAGES = ('.csv', '.xlsx', '.xls', '.json', '.txt', '.zip')


def find_images(paths: Sequence[Path], split: str | None = None) -> list[str]:
    """Return the paths of images, each once.

    Args:
        paths: Images, and folders of images.
        split: Split of a data set; then the only path is its folder.

    Raises:
        FileNotFoundError: If a path does not exist, or there is no image.
        ValueError: If there is a split, but several paths or no such split; or if the
            name of a file is not UTF-8, or has a line break.
    """
    if split:
        if len(paths) != 1:
            raise ValueError(f'--split {split} needs one folder with an index.csv')
        index = paths[0] / 'index.csv'
        table = read_index(index)
        chosen = table.filter(rows_of_split(table, split, 'split', index))
        return [str(paths[0] / file) for file in chosen['file'].to_pylist()]
    found = []
    for path in paths:
        if path.is_dir():
            found += [
                str(path / file)
                for file, reason in judged_files(path)
                if reason is None or is_unreadable_image(reason)
            ]
        elif path.exists():
            if path.suffix.lower() in NO_IMAGES:
                raise ValueError(
                    f'{path} is no image: give images or folders, or the folder of an '
                    'index.csv with --split NAME'
                )
            check_file_name(path)
            found.append(str(path))
        else:
            raise FileNotFoundError(f'no image or folder {path}')
    if not found:
        raise FileNotFoundError(f'no images in {", ".join(map(str, paths))}')
    once: dict[str, str] = {}
    for file in found:
        once.setdefault(os.path.abspath(file), file)
    return list(once.values())


def judged_files(folder: Path) -> Iterator[tuple[PurePosixPath, str | None]]:
    """Yield each file of a folder, and why it is no image to predict, if so."""
    is_prepared = (folder / 'index.csv').is_file()
    files = [*files_below(folder)]
    names = {f.with_suffix('') for f in files if f.suffix.lower() in SUFFIXES}
    for file in files:
        if is_prepared and str(file) in OWN_FILES:
            continue
        yield file, reason_to_leave_out(folder, file, names, len(file.parts))


def is_unreadable_image(reason: str) -> bool:
    """Return whether a file is an image that cannot be read: it gets a row, too."""
    return reason.startswith((CANNOT_DECODE, BROKEN_LINKS))


def files_left_out(paths: Sequence[Path], out: Path | None = None) -> Counter[str]:
    """Count the files of folders that :func:`find_images` leaves out, by reason.

    Args:
        paths: As for :func:`find_images`.
        out: The table of predictions, which is not counted, nor what lies beside it for
            runs that go on.
    """
    found: Counter[str] = Counter()
    for folder in filter(Path.is_dir, paths):
        for file, reason in judged_files(folder):
            path = folder / file
            is_ours = (
                out is not None
                and path.name.startswith(out.name)
                and path.parent.resolve() == out.parent.resolve()
            )
            if reason and not is_unreadable_image(reason) and not is_ours:
                found[reason] += 1
    return found


def groups_of_split(folder: Path, split: str) -> list[str]:
    """Return the group of each image of a split, (N,); its file without groups."""
    dataset = CSVDataset(str(folder), split, test_mode=True)
    return dataset.get_groups()
