"""Turn images and labels into data/<name>/: images, index.csv and dataset.json."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from mmimbal.command_line.flag_types import at_least
from mmimbal.command_line.prepared import check_new_name, root_of_data
from mmimbal.command_line.run_tool import run_tool
from mmimbal.command_line.sigterm import exit_on_sigterm
from mmimbal.files.atomic import check_is_new, scratch_folder

# The keys of READERS, whose import takes seconds.
SOURCES = (
    'aptos2019',
    'covidx',
    'csv',
    'eyepacs',
    'folders',
    'isic2018',
    'isic2019',
    'kvasir',
    'medmnist',
    'pbc',
    'rbc12',
)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'name',
        choices=SOURCES,
        help='folders: a folder for each class; csv: an index.csv; or a public data '
        'set',
    )
    parser.add_argument(
        '--src', type=Path, required=True, help='the images: a folder or an archive'
    )
    parser.add_argument(
        '--out',
        type=Path,
        help='folder to write; default: $MMIMBAL_DATA/NAME or data/NAME',
    )
    parser.add_argument(
        '--dry-run', action='store_true', help='show what would be taken; write nothing'
    )
    parser.add_argument(
        '--seed', type=at_least(0), default=0, help='seed of splits that are made here'
    )
    parser.add_argument(
        '--split',
        choices=['official', 'group'],
        default='official',
        help='official (default): keep the split that came with the images, if there '
        'is one; group: make a split 70/10/20, stratified by class, without groups in '
        'two splits',
    )
    parser.add_argument(
        '--folds', type=at_least(2), default=0, help='folds of cross-validation, e.g. 5'
    )
    parser.add_argument(
        '--keep-test',
        action='store_true',
        help='folds of train and val alone, for the members of an ensemble: no member '
        'is trained on a test image',
    )
    parser.add_argument(
        '--calibration',
        type=float,
        default=0.0,
        metavar='SHARE',
        help='share of the training images for a split cal, to calibrate a trained '
        'model: e.g. 0.15',
    )
    parser.add_argument(
        '--link', action='store_true', help='make symbolic links instead of copies'
    )
    parser.add_argument(
        '--range',
        type=float,
        nargs=2,
        metavar=('LOW', 'HIGH'),
        help='convert to 8 bits: values LOW to HIGH become 0 to 255, e.g. 0 4095',
    )
    parser.add_argument(
        '--zip-encoding', help='encoding of names in a zip file, e.g. gbk'
    )
    folders = parser.add_argument_group('for folders')
    folders.add_argument(
        '--split-folders',
        nargs='+',
        metavar='NAME=SPLIT',
        help='which folders are splits: train, val, test or ignore, e.g. '
        'TRAIN=train TEST=test; others are ignored',
    )
    folders.add_argument(
        '--class-folders',
        action='store_true',
        help='all folders are classes, also if they have names of splits',
    )
    folders.add_argument(
        '--group-folders',
        action='store_true',
        help='the folders are groups (patients, lesions), with one folder per class in '
        'each',
    )
    return parser.parse_args()


def options_of_reader(args: argparse.Namespace) -> dict:
    """Return the options for the reader of folders.

    Raises:
        ValueError: If they are given for another reader, or a split is unknown.
    """
    given = [args.split_folders, args.class_folders, args.group_folders]
    if not any(given):
        return {}
    flags = '--split-folders, --class-folders or --group-folders'
    if args.name != 'folders':
        raise ValueError(f'{flags}: they are for folders')
    if sum(map(bool, given)) > 1:
        raise ValueError(f'give only one of {flags}')
    pairs = [pair.rpartition('=') for pair in args.split_folders or []]
    for name, _, split in pairs:
        if not name or split not in ('train', 'val', 'test', 'ignore'):
            raise ValueError(
                f'--split-folders {name or split}: expected NAME=train, NAME=val, '
                'NAME=test or NAME=ignore'
            )
    names = [name for name, _, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError(f'--split-folders names a folder twice: {", ".join(names)}')
    return dict(
        split_folders={name: split for name, _, split in pairs} or None,
        class_folders=args.class_folders,
        group_folders=args.group_folders,
    )


@contextmanager
def opened(src: Path, near: Path | None, encoding: str | None) -> Iterator[Path]:
    """Yield the folder of a download; an archive is unpacked to a temporary folder.

    Args:
        src: A folder or an archive.
        near: The folder is made beside this path; if ``None``, where the system has
            its temporary files.
        encoding: That of names in a zip file.
    """
    from mmimbal.datasets.sources.archive import unpack

    if not src.is_file() or src.suffix == '.npz':
        yield src
        return
    unpacked = near and near.with_name(f'.unpacked-{near.name}')
    with scratch_folder(unpacked) if near else TemporaryDirectory() as folder:
        yield unpack(src, Path(folder), encoding)


def main() -> None:
    """Read the download, split it, write the data set, print what was taken."""
    args = parse_args()
    # Imported here, so that --help is quick.
    from mmimbal.datasets.sources import READERS, plan_dataset, write_plan
    from mmimbal.datasets.sources.convert import with_conversions
    from mmimbal.datasets.sources.summary import (
        HEADER,
        counts_of_plan,
        rows_of_summary,
        sentences_of_summary,
    )
    from mmimbal.evaluation.table import format_table

    out = args.out or root_of_data() / args.name
    if out.is_symlink() or not out.name:  # it is replaced whole: see where it leads
        out = out.resolve()
    check_new_name(out)
    if args.src.is_dir() and out.resolve().is_relative_to(args.src.resolve()):
        raise ValueError(
            f'--out {out} is inside of --src: the next time, its images would be taken '
            'too. Choose another folder'
        )
    if not args.dry_run:
        check_is_new(out)
    if args.calibration and args.folds and not args.keep_test:
        raise ValueError(
            '--calibration with --folds needs --keep-test: without it, folds would '
            'train on the images of cal'
        )
    if args.keep_test and not args.folds:
        raise ValueError('--keep-test needs --folds, e.g. --folds 5')
    if args.zip_encoding and (args.src.is_dir() or args.src.suffix == '.npz'):
        raise ValueError(f'--zip-encoding is for a zip file, but not for {args.src}')
    if args.link and (args.src.is_file() or args.range):
        raise ValueError('--link needs --src to be a folder, and no --range')
    options = options_of_reader(args)
    with (
        exit_on_sigterm('nothing was written, and the same command starts anew'),
        opened(args.src, None if args.dry_run else out, args.zip_encoding) as src,
    ):
        source = with_conversions(READERS[args.name](src, **options), args.range)
        plan = plan_dataset(
            source,
            args.seed,
            args.split,
            args.folds,
            args.keep_test,
            args.calibration,
        )
        taken = format_table(HEADER, rows_of_summary(source, src))
        sentences = '\n'.join(sentences_of_summary(source, plan))
        counts = format_table(*counts_of_plan(source, plan))
        print('\n\n'.join(filter(None, (taken, sentences, counts))))
        if args.dry_run:
            print('Nothing was written')
            return
        write_plan(plan, out, args.link)
    print(f'Written to {out}. Next: python tools/check_dataset.py {out}')


if __name__ == '__main__':
    run_tool(main)
