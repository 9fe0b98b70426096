"""Calibrate a published model on a split, and fit its decisions."""

import argparse
import csv
from pathlib import Path

from mmimbal.command_line.run_tool import run_tool
from mmimbal.files.atomic import write_text


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('model', type=Path, help='a file of tools/publish.py')
    parser.add_argument('data', type=Path, help='a prepared data set')
    parser.add_argument(
        '--split',
        default='cal',
        help='of images that the model was not trained on, see --calibration of '
        'tools/prepare_dataset.py; default: cal',
    )
    parser.add_argument(
        '--out', type=Path, required=True, help='e.g. calibrated.pth, with its .py'
    )
    parser.add_argument(
        '--method',
        choices=['vector', 'temperature', 'none'],
        default='vector',
        help='default: vector',
    )
    for name, what in dict(
        sensitivity='a threshold with at least this sensitivity, e.g. mel=0.95',
        specificity='a threshold with at least this specificity, e.g. mel=0.9',
        prevalence='share of the class where the model is used, e.g. nv=0.8',
    ).items():
        parser.add_argument(
            f'--{name}', nargs='+', default=[], metavar='CLASS=SHARE', help=what
        )
    parser.add_argument(
        '--accuracy',
        type=float,
        help='answer only images of high confidence: this share of answers is right',
    )
    parser.add_argument(
        '--sets',
        type=float,
        help='prediction sets that have the true class this often, for each class',
    )
    parser.add_argument(
        '--costs',
        type=Path,
        help='CSV file: a row for each true class, a column for each predicted one, '
        'with names',
    )
    parser.add_argument(
        '--no-promise',
        action='store_true',
        help='thresholds of the calibration images alone, also with few groups',
    )
    return parser.parse_args()


def shares(pairs: list[str]) -> dict[str, float]:
    """Return shares by class.

    Raises:
        ValueError: If a pair is not CLASS=SHARE, or a class is given twice.
    """
    found = {}
    for pair in pairs:
        name, _, share = pair.rpartition('=')
        if name in found:
            raise ValueError(f'{pair}: {name} is given twice')
        try:
            found[name] = float(share)
        except ValueError:
            raise ValueError(f'{pair}: expected CLASS=SHARE, e.g. mel=0.95') from None
    return found


def read_costs(file: Path, classes: tuple[str, ...]) -> list[list[float]]:
    """Return the costs in the order of the classes, (K, K).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If its names are not the classes, or a cost is missing.
    """
    try:
        with open(file, newline='', encoding='utf-8-sig') as opened:
            header, *rows = [row for row in csv.reader(opened) if row] or [[]]
    except (UnicodeDecodeError, csv.Error):
        raise ValueError(f'{file} is not a CSV file in UTF-8') from None
    for what, names in dict(row=[row[0] for row in rows], column=header[1:]).items():
        if sorted(names) != sorted(classes):
            raise ValueError(
                f'{file} must have one {what} for each of {", ".join(classes)}, and no '
                f'others; it has {", ".join(names) or "none"}'
            )
    costs = []
    for true in classes:
        (cells,) = (row[1:] for row in rows if row[0] == true)
        try:
            by_name = dict(zip(header[1:], map(float, cells), strict=True))
            costs.append([by_name[said] for said in classes])
        except ValueError:
            raise ValueError(
                f'{file}: a cost of {true} is missing, too many, or no number'
            ) from None
    return costs


def main() -> None:
    """Predict the split, fit, and write the model with its decisions."""
    args = parse_args()
    # Imported here, so that --help is quick.
    from mmengine.device import get_device

    from mmimbal.files.checkpoint import load_from_local
    from mmimbal.files.save_checkpoint import save_checkpoint_file
    from mmimbal.inference.decisions import describe
    from mmimbal.inference.fit_decisions import Wanted, fit_decisions
    from mmimbal.inference.leaks import check_no_leak
    from mmimbal.inference.predict import predict_split
    from mmimbal.inference.predictor import load_predictor
    from mmimbal.inference.published import check_place

    config = args.model.with_suffix('.py')
    check_place(args.out, ('.pth', '.py'), args.model, config)
    if args.no_promise and not (args.sensitivity or args.specificity):
        raise ValueError('--no-promise is for --sensitivity or --specificity')
    by_name = [shares(each) for each in (args.sensitivity, args.specificity)]
    prevalence = shares(args.prevalence)
    if args.model.is_dir() or (args.model.is_file() and not config.is_file()):
        raise ValueError(
            f'{args.model} is not published: use tools/publish.py {args.model} '
            'model.pth, and calibrate model.pth'
        )
    predictor = load_predictor([args.model], get_device())
    costs = read_costs(args.costs, predictor.classes) if args.costs else None
    wanted = Wanted(
        args.method,
        *by_name,
        prevalence,
        args.accuracy,
        args.sets,
        costs,
        not args.no_promise,
    )
    wanted.check(predictor.classes)
    images = predict_split(predictor, args.data, args.split)
    check_no_leak(
        predictor.members,
        images.groups,
        'the calibration would be too confident. Calibrate on images that it has not '
        'seen: tools/prepare_dataset.py --calibration 0.15 makes the split cal',
    )
    decisions = fit_decisions(images, wanted)
    checkpoint = load_from_local(args.model, 'cpu')
    checkpoint['meta']['decisions'] = decisions.to_dict()
    save_checkpoint_file(checkpoint, args.out)
    write_text(config.read_text(encoding='utf-8'), args.out.with_suffix('.py'))
    print('\n'.join(describe(decisions)))
    print(f'Written: {args.out}, fitted on {len(images.labels)} images of {args.split}')


if __name__ == '__main__':
    run_tool(main)
