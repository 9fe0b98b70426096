"""Compare runs on an HTML page, from their predictions."""

import argparse
from pathlib import Path

from mmimbal.command_line.run_tool import run_tool
from mmimbal.evaluation.predictions import SUFFIX, Predictions, load_predictions
from mmimbal.files.atomic import check_is_no_folder, write_text
from mmimbal.visualization.report import build_report


def load_runs(names: list[str]) -> dict[str, Predictions]:
    """Load predictions, by name of the run.

    Args:
        names: Files, or folders with one file, each ``PATH`` or ``NAME=PATH``.

    Raises:
        FileNotFoundError: If a file does not exist, or a folder has not exactly one.
        ValueError: If two runs have the same name, or a file is damaged.
    """
    runs = {}
    for text in names:
        named = '=' in text and not Path(text).exists()
        name, path = text.split('=', 1) if named else ('', text)
        file = Path(path)
        if file.is_dir():
            files = sorted(file.glob(f'*{SUFFIX}'))
            if len(files) != 1:
                found = ', '.join(each.name for each in files) or 'none'
                raise FileNotFoundError(
                    f'expected one {SUFFIX} file in {file}, found {found}. Write one '
                    f'with tools/test.py CONFIG CHECKPOINT --out {file}/test{SUFFIX}'
                )
            name, file = name or file.name, files[0]
        name = name or file.stem
        if name in runs:
            raise ValueError(
                f'two runs have the name {name}: give another one with NAME={path}'
            )
        runs[name] = load_predictions(file)
    return runs


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
    check_is_no_folder(args.out)
    write_text(build_report(load_runs(args.runs)), args.out)
    print(f'Written: {args.out}')


if __name__ == '__main__':
    run_tool(main)
