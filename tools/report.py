"""Compare runs on one HTML page, from their predictions."""

import argparse
from pathlib import Path

from mmimbal.evaluation.predictions import SUFFIX, Predictions, load_predictions
from mmimbal.files.atomic import check_is_no_folder, write_text
from mmimbal.visualization.report import build_report


def load_runs(names: list[str]) -> dict[str, Predictions]:
    """Return predictions by name.

    Args:
        names: Files, or folders with one, perhaps with a name: ``NAME=PATH``.

    Raises:
        FileNotFoundError: If there is no such file, or a folder has none or several.
        ValueError: If two runs have one name, or a file is broken.
    """
    runs = {}
    for text in names:
        named = '=' in text and not Path(text).exists()
        name, path = text.split('=', 1) if named else ('', text)
        file = Path(path)
        if file.is_dir():
            found = sorted(file.glob(f'*{SUFFIX}'))
            if len(found) != 1:
                there = ', '.join(each.name for each in found) or 'none'
                raise FileNotFoundError(
                    f'expected one {SUFFIX} file in {file}, found {there}. Write one '
                    f'with tools/test.py CONFIG CHECKPOINT --out {file}/test{SUFFIX}'
                )
            name, file = name or file.name, found[0]
        name = name or file.stem
        if name in runs:
            raise ValueError(f'two runs are called {name}: write NAME={path}')
        runs[name] = load_predictions(file)
    return runs


def main() -> None:
    """Read predictions, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'runs',
        nargs='+',
        metavar='[NAME=]RUN',
        help='predictions that tools/test.py --out FILE.npz has written, or a folder '
        'with one; the first is what others are compared with',
    )
    parser.add_argument(
        '--out', type=Path, default=Path('report.html'), help='default: report.html'
    )
    args = parser.parse_args()
    try:
        check_is_no_folder(args.out)
        write_text(build_report(load_runs(args.runs)), args.out)
    except (OSError, ValueError) as error:
        raise SystemExit(f'report: {error}') from None
    print(f'Written: {args.out}')


if __name__ == '__main__':
    main()
