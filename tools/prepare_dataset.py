"""Turn a public download into data/<name>/: images, index.csv and dataset.json."""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from mmimbal.command_line.run_tool import run_tool
from mmimbal.datasets.sources import READERS, write_dataset
from mmimbal.datasets.sources.archive import unpack
from mmimbal.evaluation.table import format_table
from mmimbal.files.atomic import check_is_new


@contextmanager
def opened(src: Path, near: Path) -> Iterator[Path]:
    """Yield the folder of a download; an archive is unpacked to a temporary folder."""
    if not src.is_file() or src.suffix == '.npz':
        yield src
        return
    near.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix='.unpacked-', dir=near) as folder:
        yield unpack(src, Path(folder))


def main() -> None:
    """Read the download, split it, write the data set, print the class counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('name', choices=READERS, help='the data set in --src')
    parser.add_argument(
        '--src', type=Path, required=True, help='the download: a folder or an archive'
    )
    parser.add_argument(
        '--out',
        type=Path,
        help='folder to write; default: $MMIMBAL_DATA/NAME or data/NAME',
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='seed of splits that are made here'
    )
    parser.add_argument(
        '--split',
        choices=['official', 'group'],
        default='official',
        help='official (default): use the split of the download if it has one; group: '
        'make a split 70/10/20, stratified by class, without groups in two splits',
    )
    parser.add_argument(
        '--folds', type=int, default=0, help='folds of cross-validation, e.g. 5'
    )
    parser.add_argument(
        '--link', action='store_true', help='make symbolic links instead of copies'
    )
    args = parser.parse_args()
    out = args.out or Path(os.environ.get('MMIMBAL_DATA', 'data'), args.name)
    check_is_new(out)
    with opened(args.src, out.parent) as src:
        if args.link and src != args.src:
            raise ValueError('--link needs --src to be a folder, not an archive')
        source = READERS[args.name](src)
        counts = write_dataset(
            source, out, args.seed, args.split, args.folds, args.link
        )
    for split, count in counts.items():
        absent = [name for name in source.classes if not count[name]]
        if absent:
            print(f'No image of {", ".join(absent)} in {split}')
    header = ('split', *source.classes, 'total')
    rows = [
        (split, *(str(count[name]) for name in source.classes), str(count.total()))
        for split, count in counts.items()
    ]
    print(f'{format_table(header, rows)}\nWritten to {out}')


if __name__ == '__main__':
    run_tool(main)
