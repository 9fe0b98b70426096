"""Train and test a config on folds of its data set, and pool the predictions."""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

from mmengine.config import Config
from tqdm import tqdm

from mmimbal.command_line.bases import bases_of
from mmimbal.command_line.quiet import without_upstream_noise
from mmimbal.evaluation.bootstrap import caution, interval_of, resampled_metrics
from mmimbal.evaluation.metrics import NAMES, summarise
from mmimbal.evaluation.predictions import Predictions, load_predictions, pooled
from mmimbal.evaluation.table import format_table, mean_and_spread
from mmimbal.experiments.failures import raise_if_failed
from mmimbal.experiments.grid import fold_options
from mmimbal.experiments.run_settings import record_settings
from mmimbal.files.atomic import check_is_no_file
from mmimbal.files.json_file import write_json
from mmimbal.stage2.config import follows_stage1

TOOLS = Path(__file__).resolve().parent


def parse_args() -> tuple[argparse.Namespace, list[str]]:
    """Read the command line; flags not known here go to the other tools."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='Further flags go to tools/train.py and tools/test.py, such as --amp '
        'or --profile 64px.',
    )
    parser.add_argument('config', help='e.g. configs/isic/stage1_ce.py')
    parser.add_argument(
        '--folds',
        type=int,
        default=5,
        help='how many: columns fold0, fold1, ..., as prepare_dataset.py --folds has '
        'made them; default: 5',
    )
    parser.add_argument(
        '--stage1-config', help='of stage 1, trained first on each fold'
    )
    parser.add_argument('--work-dir', type=Path, help="default: the config's + _folds")
    parser.add_argument(
        '--base',
        action='append',
        default=[],
        metavar='OLD=NEW',
        help='another base of the configs that have OLD',
    )
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE')
    parser.add_argument(
        '--stage1-cfg-options',
        nargs='+',
        metavar='KEY=VALUE',
        help='of stage 1; default: those of --cfg-options',
    )
    return parser.parse_known_args()


def run_fold(
    fold: int, folder: Path, args: argparse.Namespace, flags: list[str]
) -> Predictions:
    """Train and test one fold; what is there already is not done again.

    Raises:
        RuntimeError: If a tool fails.
    """
    out = folder / f'fold{fold}.npz'
    if out.is_file():
        return load_predictions(out)
    log = folder / f'fold{fold}.log'
    stages = [(args.config, f'fold{fold}', args.cfg_options)]
    if args.stage1_config:
        options = args.stage1_cfg_options or args.cfg_options
        stages.insert(0, (args.stage1_config, f'fold{fold}_stage1', options))
    stage1 = []
    for config, name, options in stages:
        work_dir = folder / name
        common = [*flags, *base_flags(config, args.base)]
        common += ['--cfg-options']
        common += [f'{key}={value}' for key, value in fold_options(fold).items()]
        common += options
        begun = (work_dir / 'last_checkpoint').is_file()
        resume = ['--resume'] if begun else []
        command = [TOOLS / 'train.py', config, '--work-dir', work_dir]
        run([*command, *resume, *stage1, *common], log)
        stage1 = ['--stage1', work_dir]
    command = [TOOLS / 'test.py', config, work_dir, '--out', out]
    run([*command, '--work-dir', work_dir / 'test', *common], log)
    return load_predictions(out)


def base_flags(config: str, bases: Sequence[str]) -> list[str]:
    """Return the ``--base`` flags of a config: of those that it has."""
    if not bases:  # other configs may have theirs elsewhere
        return []
    known = bases_of(config)
    return [
        flag
        for base in bases
        if base.partition('=')[0] in known
        for flag in ('--base', base)
    ]


def run(command: list, log: Path) -> None:
    """Run a tool, its output to a log.

    Raises:
        ToolFailedError: If it fails.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, 'ab') as file:
        start = file.tell()
        result = subprocess.run(
            [sys.executable, *map(str, command)], stdout=file, stderr=file
        )
    raise_if_failed(result.returncode, log, start)


def report(parts: list[Predictions]) -> tuple[dict, str]:
    """Return metrics of each fold and of all pooled, and a table of them, in %."""
    folds = [summarise(part.scores, part.labels, part.classes) for part in parts]
    everything = pooled(parts)
    found = summarise(everything.scores, everything.labels, everything.classes)
    drawn = resampled_metrics(everything)
    recalls = [f'recall/{name}' for name in everything.classes]
    rows, summary = [], {}
    for name in (*NAMES, *recalls):
        values = [fold[name] for fold in folds if name in fold]
        if name not in found or not values:
            continue
        low, high = interval_of(name, found[name], 100 * drawn[name])
        cell = mean_and_spread(values)
        if len(values) < len(folds):
            cell += f' (of {len(values)})'
        rows.append((name, cell, f'{found[name]:.1f}', f'{low:.1f} .. {high:.1f}'))
        summary[name] = dict(
            folds=[fold.get(name) for fold in folds],
            mean=mean(values),
            sd=stdev(values) if len(values) > 1 else None,
            pooled=found[name],
            interval=[low, high],
        )
    header = ('%', f'{len(parts)} folds', 'pooled', '95% interval')
    return summary, format_table(header, rows)


def main() -> None:
    """Run the folds in turn, then report."""
    args, flags = parse_args()
    if args.folds < 1:
        raise ValueError(f'--folds {args.folds} must be at least 1')
    if args.stage1_cfg_options and not args.stage1_config:
        raise ValueError('--stage1-cfg-options needs --stage1-config')
    cfg = Config.fromfile(args.config)
    work_dir = cfg.get('work_dir') or f'work_dirs/{Path(args.config).stem}'
    folder = args.work_dir or Path(f'{work_dir}_folds')
    if follows_stage1(cfg) and not args.stage1_config:
        raise ValueError(
            f'{args.config} follows a stage 1, which must not have seen the test '
            'images of a fold: name its config with --stage1-config, so that it is '
            'trained on each fold too'
        )
    configs = [config for config in (args.stage1_config, args.config) if config]
    for base in args.base:
        if not any(base_flags(config, [base]) for config in configs):
            known = sorted({name for config in configs for name in bases_of(config)})
            raise ValueError(
                f'--base {base}: expected OLD=NEW, where OLD is one of '
                f'{", ".join(known)}'
            )
    settings = dict(
        config=cfg.to_dict(), flags=flags, bases=args.base, options=args.cfg_options
    )
    if args.stage1_config:
        settings['stage1'] = Config.fromfile(args.stage1_config).to_dict()
        settings['stage1_options'] = args.stage1_cfg_options
    check_is_no_file(folder)
    record_settings(settings, folder)
    parts = [
        run_fold(fold, folder, args, flags)
        for fold in tqdm(range(args.folds), 'Folds', unit='fold')
    ]
    summary, table = report(parts)
    write_json(summary, folder / 'cross_validation.json')
    everything = pooled(parts)
    groups = len(set(everything.groups.tolist()))
    about = (
        f'{args.config}: {len(everything.labels)} test images in {groups} groups; '
        'intervals by resampling groups. '
        + caution(everything.groups, everything.labels, everything.classes)
    )
    print(f'\n{about.rstrip()}\n\n{table}\n\nWritten: {folder}/cross_validation.json')


if __name__ == '__main__':
    try:
        with without_upstream_noise():
            main()
    except KeyboardInterrupt:
        raise SystemExit('\nStopped. The same command goes on from here.') from None
    except (OSError, ValueError, RuntimeError) as error:
        raise SystemExit(f'cross_validate: {error}') from None
