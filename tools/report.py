"""Compare runs on an HTML page, from their predictions."""

import argparse
from pathlib import Path

from mmimbal.command_line.run_tool import run_tool
from mmimbal.files.atomic import check_is_no_folder, write_text


def main() -> None:
    """Read predictions, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'runs',
        nargs='+',
        metavar='[NAME=]RUN',
        help='predictions from tools/test.py --out FILE.npz, or a folder with one such '
        'file; the others are compared with the first',
    )
    parser.add_argument(
        '--out', type=Path, default=Path('report.html'), help='default: report.html'
    )
    args = parser.parse_args()
    # Imported here, so that --help is quick.
    from mmimbal.evaluation.runs import load_runs
    from mmimbal.visualization.report import build_report

    check_is_no_folder(args.out)
    write_text(build_report(load_runs(args.runs)), args.out)
    print(f'Written: {args.out}')


if __name__ == '__main__':
    run_tool(main)
