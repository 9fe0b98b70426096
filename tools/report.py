"""Compare runs on an HTML page, from their predictions."""

import argparse
from pathlib import Path

from mmimbal.command_line.run_tool import run_tool
from mmimbal.files.atomic import check_can_be_file, write_text


def parse_args() -> argparse.Namespace:
    """Read the command line."""
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
    parser.add_argument(
        '--decisions',
        type=Path,
        metavar='FILE',
        help='a file of tools/calibrate.py: measure its calibration and decisions on '
        'the predictions of the first run',
    )
    parser.add_argument(
        '--images',
        type=Path,
        metavar='FOLDER',
        help='show the worst errors of the first run, with class activation maps; '
        'FOLDER is that of the data set. Without this, the page has no image',
    )
    parser.add_argument(
        '--model',
        type=Path,
        help='model of the first run, as for tools/predict.py, for --images; default: '
        'that of --decisions, or the checkpoint that was tested',
    )
    args = parser.parse_args()
    if args.model and not args.images:
        parser.error('--model is for --images FOLDER')
    return args


def main() -> None:
    """Read predictions, and write the page."""
    args = parse_args()
    # Imported here, so that --help is quick.
    from mmimbal.datasets.sources.walk import own_files
    from mmimbal.evaluation.runs import files_of_runs, load_runs
    from mmimbal.inference.predictor import load_predictor
    from mmimbal.inference.stored_decisions import load_decisions
    from mmimbal.inference.worst_errors import model_of, show_errors
    from mmimbal.visualization.report import build_report

    read = [*filter(None, (args.decisions, args.model))]
    read += own_files(args.images) if args.images else []
    check_can_be_file(args.out, *files_of_runs(args.runs).values(), *read)
    runs = load_runs(args.runs)
    first = next(iter(runs.values()))
    decisions = load_decisions(args.decisions, first) if args.decisions else None
    errors = None
    if args.images:
        model = args.model or args.decisions or model_of(first)
        print(f'Worst errors: images of {args.images}, model {model}')
        errors = show_errors(load_predictor([model]), first, args.images)
    page = build_report(runs, decisions=decisions, errors=errors)
    write_text(page, args.out)
    print(f'Written: {args.out}')


if __name__ == '__main__':
    run_tool(main)
