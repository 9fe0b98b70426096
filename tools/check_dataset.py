"""Check a data set: damaged images, identical images, leaks between splits."""

import argparse
from pathlib import Path
from tempfile import TemporaryFile

from mmimbal.command_line.flag_types import at_least
from mmimbal.command_line.run_tool import run_tool
from mmimbal.files.atomic import atomic_write, check_can_be_file, check_is_no_file
from mmimbal.files.json_file import write_json

PICTURE = 'class_counts.png'


def describe(report: dict) -> str:
    """Return a table of class counts, and a list of findings."""
    from mmimbal.datasets.checking.finding import EXAMPLES
    from mmimbal.evaluation.table import format_table

    counts = report['counts']
    rows = [
        (split or 'all', *map(str, row), str(sum(row))) for split, row in counts.items()
    ]
    text = format_table(('images', *report['classes'], 'total'), rows)
    for finding in report['findings']:
        text += f'\n\n{finding["level"]}: {finding["count"]} {finding["what"]}'
        shown = finding['examples'][:EXAMPLES]
        text += ''.join(f'\n    {example}' for example in shown)
        if finding['count'] > len(shown):
            text += '\n    ...'
    return text


def why_unwritable(folder: Path) -> OSError | None:
    """Return the error of writing to a folder, ``None`` if it can be written."""
    try:
        TemporaryFile(dir=folder).close()
    except OSError as error:
        return error
    return None


def write(report: dict, folder: Path) -> None:
    """Write the report, and a picture of its class counts."""
    from mmimbal.datasets.checking.check_result import REPORT
    from mmimbal.visualization import draw_class_counts

    write_json(report, folder / REPORT)
    figure = draw_class_counts(report['counts'], report['classes'])
    with atomic_write(folder / PICTURE) as unfinished:
        figure.savefig(unfinished, format='png', dpi=130)


def main() -> None:
    """Check, print, draw, write check.json next to index.csv; fail on errors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'folder', type=Path, help='folder with an index.csv, e.g. data/isic2018'
    )
    parser.add_argument('--processes', type=at_least(1), help='default: one per core')
    parser.add_argument(
        '--split-column',
        help='check only this column; default: split, fold0, fold1, ...',
    )
    parser.add_argument(
        '--out',
        type=Path,
        help=f'folder for check.json and {PICTURE}; default: the checked folder, where '
        'training looks for them',
    )
    args = parser.parse_args()
    # Imported here, so that --help is quick.
    from mmimbal.datasets.checking.check import check_dataset
    from mmimbal.datasets.checking.check_result import REPORT

    out = args.out or args.folder
    for name in (REPORT, PICTURE):
        check_can_be_file(out / name)
    if args.out:
        check_is_no_file(out)
        out.mkdir(parents=True, exist_ok=True)
    problem = why_unwritable(out) if out.is_dir() else None
    if problem and args.out:
        raise problem
    if problem:
        print(f'{out} cannot be written: --out FOLDER stores the report elsewhere\n')
    report = check_dataset(args.folder, args.processes, args.split_column)
    warnings = len(report['findings']) - report['errors']
    print(
        f'{describe(report)}\n\n{report["errors"]} kinds of errors, {warnings} kinds '
        'of warnings'
    )
    try:
        write(report, out)
        print(f'Written: {out / REPORT} and {out / PICTURE}')
    except OSError as error:
        print(
            f'Not stored ({error}): training does not know of this check, and warns '
            'that the data set was not checked'
        )
    if report['errors']:
        raise SystemExit(1)


if __name__ == '__main__':
    run_tool(main)
