"""Check a data set: damaged images, identical images, leaks between splits."""

import argparse
from pathlib import Path

from mmimbal.command_line.run_tool import run_tool
from mmimbal.datasets.checking.check import check_dataset
from mmimbal.datasets.checking.check_result import REPORT
from mmimbal.evaluation.table import format_table
from mmimbal.files.atomic import atomic_write, check_is_no_folder
from mmimbal.files.json_file import write_json
from mmimbal.visualization import draw_class_counts


def describe(report: dict) -> str:
    """Return a table of class counts, and a list of findings."""
    counts = report['counts']
    rows = [
        (split or 'all', *map(str, row), str(sum(row))) for split, row in counts.items()
    ]
    text = format_table(('images', *report['classes'], 'total'), rows)
    for finding in report['findings']:
        text += f'\n\n{finding["level"]}: {finding["count"]} {finding["what"]}'
        text += ''.join(f'\n    {example}' for example in finding['examples'])
        if finding['count'] > len(finding['examples']):
            text += '\n    ...'
    return text


def main() -> None:
    """Check, print, draw, write check.json next to index.csv; fail on errors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'folder', type=Path, help='folder with an index.csv, e.g. data/isic2018'
    )
    parser.add_argument('--processes', type=int, help='default: one per core')
    parser.add_argument(
        '--split-column',
        help='check only this column; default: split, fold0, fold1, ...',
    )
    args = parser.parse_args()
    picture = args.folder / 'class_counts.png'
    for file in (args.folder / REPORT, picture):
        check_is_no_folder(file)
    report = check_dataset(args.folder, args.processes, args.split_column)
    write_json(report, args.folder / REPORT)
    figure = draw_class_counts(report['counts'], report['classes'])
    with atomic_write(picture) as unfinished:
        figure.savefig(unfinished, format='png', dpi=130)
    warnings = len(report['findings']) - report['errors']
    print(
        f'{describe(report)}\n\n{report["errors"]} kinds of errors, {warnings} kinds '
        f'of warnings. Written: {args.folder / REPORT} and {picture}'
    )
    if report['errors']:
        raise SystemExit(1)


if __name__ == '__main__':
    run_tool(main)
