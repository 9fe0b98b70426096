"""Train every rebalancer on the features of one stage 1, and compare them."""

import argparse
import copy
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain
from pathlib import Path
from statistics import mean
from time import perf_counter

import torch
from joblib import cpu_count
from mmengine.config import Config, DictAction
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from torch.utils.data import Dataset
from tqdm import tqdm

from mmimbal.command_line.flags import check_options
from mmimbal.command_line.quiet import without_upstream_noise
from mmimbal.datasets import get_class_counts, get_class_names
from mmimbal.evaluation.predictions import SUFFIX
from mmimbal.evaluation.table import format_table, mean_and_spread
from mmimbal.files.atomic import check_is_no_file, check_is_no_folder, write_text
from mmimbal.files.json_file import write_json
from mmimbal.stage2.config import find_config, stage2_config
from mmimbal.stage2.head_run import HeadRun
from mmimbal.stage2.stage1 import find_checkpoint
from mmimbal.stage2.stage1_features import SPLITS, build_datasets, extract
from mmimbal.stage2.sweep import Sweep

METHODS = Path(__file__).resolve().parents[1] / 'configs' / '_base_' / 'stage2'


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'stage1', help='work dir of stage 1 for its best, or checkpoint'
    )
    parser.add_argument(
        '--config', help='of stage 1, if it is not beside the checkpoint'
    )
    parser.add_argument(
        '--methods',
        nargs='*',
        default=['all'],
        metavar='METHOD',
        help='bases of configs/_base_/stage2/ or files like them; default: all; '
        "with none, only stage 1's classifier is scored",
    )
    parser.add_argument('--seeds', type=int, default=5, help='default: 5')
    parser.add_argument(
        '--views', type=int, default=4, help='of each training image; default: 4'
    )
    parser.add_argument(
        '--metric',
        default='balanced_accuracy',
        help='what chooses on validation; default: balanced_accuracy',
    )
    parser.add_argument(
        '--no-search', action='store_true', help='hyper-parameters as in the bases'
    )
    parser.add_argument(
        '--checkpoints',
        nargs='+',
        default=[],
        metavar='METHOD[:SEED]',
        help='write these rows as ordinary checkpoints, each with its config',
    )
    parser.add_argument(
        '--predictions',
        action='store_true',
        help='write what each head says of the test images to predictions/*.npz',
    )
    parser.add_argument(
        '--validation-only', action='store_true', help='do not read the test images'
    )
    parser.add_argument('--work-dir', type=Path, help='default: STAGE1/stage2_sweep')
    parser.add_argument(
        '--dtype', choices=['float32', 'float16'], default='float32', help='of features'
    )
    parser.add_argument(
        '--processes', type=int, default=cpu_count(), help='default: one per core'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help='change the config of stage 1, e.g. val_dataloader.batch_size=32',
    )
    return parser.parse_args()


def load_methods(names: list[str]) -> dict[str, Config]:
    """Return the bases of methods by name.

    Raises:
        FileNotFoundError: If there is no such base.
        ValueError: If two have one name.
    """
    there = {path.stem: path for path in sorted(METHODS.glob('*.py'))}
    methods = {}
    for name in there if names == ['all'] else names:
        path = there.get(name, Path(name))
        if path.suffix != '.py' or not path.is_file():
            raise FileNotFoundError(
                f'no method {name}; there are {", ".join(there)}, or give a .py file'
            )
        if path.stem in methods:
            raise ValueError(f'--methods names {path.stem} twice')
        methods[path.stem] = Config.fromfile(path)
    return methods


def wanted_checkpoints(
    names: list[str], methods: dict[str, HeadRun], seeds: int
) -> list[tuple[str, int]]:
    """Return pairs of method and seed from ``METHOD[:SEED]``.

    Raises:
        ValueError: If one is not in the sweep.
    """
    wanted = []
    for name in names:
        method, _, seed = name.partition(':')
        there = (
            [str(r.seed) for r in methods[method].seeds(seeds)]
            if method in methods
            else []
        )
        if (seed or '0') not in there:
            known = (
                f'seeds {", ".join(there)}'
                if there
                else f'methods {", ".join(methods)}'
            )
            raise ValueError(f'--checkpoints {name} is no row; there are {known}')
        wanted.append((method, int(seed or 0)))
    return wanted


def check_metric(metric: str, dataset: Dataset) -> None:
    """Raise a ValueError if there is no such metric of the validation images."""
    counted = zip(get_class_names(dataset), get_class_counts(dataset), strict=True)
    recalls = [f'recall/{name}' for name, count in counted if count]
    names = ['balanced_accuracy', 'macro_f1', *recalls]
    if metric not in names:
        raise ValueError(f'no metric {metric}; there are {", ".join(names)}')


def apply_options(
    stage1: Config, options: dict, method: Config, checkpoint: Path
) -> Config:
    """Return the config of stage 1 with options, each of which must reach stage 2.

    Raises:
        ValueError: If one changes nothing.
    """
    try:
        check_options(options, stage1)
    except KeyError as error:
        raise ValueError(error.args[0]) from None
    before = stage2_config(stage1, method, checkpoint).to_dict()
    for key, value in options.items():
        changed = copy.deepcopy(stage1)
        changed.merge_from_dict({key: value})
        same = stage2_config(changed, method, checkpoint).to_dict() == before
        if same and changed.to_dict() != stage1.to_dict():
            raise ValueError(
                f'--cfg-options {key} would change nothing: images and backbone are '
                'those of stage 1, heads and their training those of --methods'
            )
    stage1.merge_from_dict(options)
    return stage1


def train_all(
    sweep: Sweep,
    methods: dict[str, HeadRun],
    searches: dict[str, dict],
    seeds: int,
    metric: str,
) -> tuple[dict[str, list[HeadRun]], dict[str, str]]:
    """Search with the first seed, then train the others.

    Returns:
        The runs chosen, by method, and why methods were left out.

    Raises:
        ValueError: If all were.
    """
    searched = {name: run.candidates(searches[name]) for name, run in methods.items()}
    others = sum(len(run.seeds(seeds)) - 1 for run in methods.values())
    total = sum(map(len, searched.values())) + others
    with tqdm(total=total, desc='Heads', unit=' heads') as bar:

        def train(runs: Iterable[HeadRun]) -> None:
            for run in sweep.train(list(runs)):
                bar.set_postfix_str(run.method, refresh=False)
                bar.update()

        train(chain.from_iterable(searched.values()))
        chosen, left_out = {}, {}
        for name, runs in searched.items():
            try:
                chosen[name] = sweep.choose(runs, metric).seeds(seeds)
            except ValueError as error:
                left_out[name] = str(error)
        if left_out and not chosen:
            raise ValueError(next(iter(left_out.values())))
        train(run for runs in chosen.values() for run in runs[1:])
    return chosen, left_out


def values_of(result: dict, split: str, metric: str) -> list[float]:
    """Return a metric of each seed that did not diverge; empty if it is absent."""
    found = (seed[split] for seed in result['seeds'])
    return [metrics[metric] for metrics in found if metrics and metric in metrics]


def cell_of(result: dict, split: str, metric: str, digits: int = 1) -> str:
    """Return mean ± standard deviation, and of how many seeds if some diverged."""
    values = values_of(result, split, metric)
    cell = mean_and_spread(values, digits)
    if 0 < len(values) < len(result['seeds']):
        cell += f' ({len(values)} of {len(result["seeds"])})'
    return cell


def format_results(results: list[dict], classes: tuple[str, ...], split: str) -> str:
    """Return the table, recalls on a split."""
    columns = {
        'val bal. acc.': ('val', 'balanced_accuracy'),
        f'{split} bal. acc.': (split, 'balanced_accuracy'),
        f'{split} macro F1': (split, 'macro_f1'),
    }
    rows = []
    for result in results:
        cells = [result['method'], result['chosen']]
        cells += [cell_of(result, *column) for column in columns.values()]
        cells += [cell_of(result, split, f'recall/{name}', 0) for name in classes]
        rows.append(cells)
    return format_table(('method, %', 'chosen', *columns, *classes), rows)


def write_predictions(
    sweep: Sweep, runs: dict[str, list[HeadRun]], stage1: Config, folder: Path
) -> None:
    """Write what every head says of the test images."""
    heads = {
        f'{name}_seed{run.seed}': sweep.trained(run)
        for name, found in runs.items()
        for run in found
        if sweep.read(run)['val']
    }
    heads['stage1'] = sweep.stage1_classifier(stage1)
    for name, head in heads.items():
        about = dict(checkpoint=sweep.frozen.checkpoint, stage2=name)
        with suppress(FloatingPointError):  # of a head that is not finite on test
            sweep.predict(head, 'test', **about).save(folder / f'{name}{SUFFIX}')


def main() -> None:
    """Extract once, train every run, choose on validation, read test once."""
    args = parse_args()
    if min(args.seeds, args.views, args.processes) < 1:
        raise ValueError('--seeds, --views and --processes must be at least 1')
    if args.predictions and args.validation_only:
        raise ValueError('--predictions are of test images: not with --validation-only')
    checkpoint = find_checkpoint(args.stage1).resolve()
    folder = args.work_dir or checkpoint.parent / 'stage2_sweep'
    check_is_no_file(folder)
    for name in ('sweep.json', 'sweep.txt'):
        check_is_no_folder(folder / name)
    stage1 = Config.fromfile(args.config or find_config(checkpoint))
    bases = load_methods(args.methods)
    template = next(iter((bases or load_methods(['crt'])).values()))
    stage1 = apply_options(stage1, args.cfg_options, template, checkpoint)
    init_default_scope('mmpretrain')
    MMLogger.get_instance('stage2_sweep', log_level='WARNING')

    methods = {
        name: HeadRun(name, stage2_config(stage1, base, checkpoint, args.views))
        for name, base in bases.items()
    }
    wanted = wanted_checkpoints(args.checkpoints, methods, args.seeds)
    searches = {
        name: {} if args.no_search else base.get('stage2_search', {})
        for name, base in bases.items()
    }
    cfg = stage2_config(stage1, template, checkpoint, args.views)
    judged_on = 'val' if args.validation_only else 'test'
    datasets = build_datasets(cfg, SPLITS[:2] if args.validation_only else SPLITS)
    classes = get_class_names(datasets['train'])
    check_metric(args.metric, datasets['val'])
    start = perf_counter()
    frozen = extract(
        cfg, datasets, checkpoint, folder / 'features', args.views, args.dtype
    )
    extracted = perf_counter()
    sweep = Sweep(frozen, folder / 'heads', args.processes)
    runs, left_out = train_all(sweep, methods, searches, args.seeds, args.metric)
    seconds = dict(extraction=extracted - start, heads=perf_counter() - extracted)

    results = [
        dict(sweep.report(found), chosen=str(found[0])) for found in runs.values()
    ]
    results.append(dict(sweep.report_stage1(stage1), chosen=''))
    results.sort(
        key=lambda result: -mean(values_of(result, 'val', args.metric) or [-1])
    )
    about = dict(
        stage1=str(checkpoint),
        batch_norm='frozen',
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU',
        views=args.views,
        seeds=args.seeds,
        chosen_by=f'{args.metric} on validation, first seed',
        seconds=seconds,
        left_out=left_out,
    )
    text = (
        f'Stage 1: {checkpoint}. Batch norm {about["batch_norm"]}, {args.views} views, '
        f'heads of the last epoch.\nChosen by {about["chosen_by"]}; mean ± standard '
        f'deviation of {args.seeds} seeds; recall of each class on {judged_on}.\n\n'
        f'{format_results(results, classes, judged_on)}\n'
    )
    for name, reason in left_out.items():
        text += f'\nLeft out: {name}. {reason}\n'
    held_back = args.validation_only or (
        cfg.val_dataloader.dataset != cfg.test_dataloader.dataset
    )
    if not held_back:
        text += '\nTest and validation are the same images: test was not held back.\n'
    write_json(dict(about, rows=results), folder / 'sweep.json')
    write_text(text, folder / 'sweep.txt')
    if args.predictions:
        write_predictions(sweep, runs, stage1, folder / 'predictions')
    print(
        f'\n{text}\nFeatures took {seconds["extraction"]:.0f} s, heads '
        f'{seconds["heads"]:.0f} s. Written to {folder}/sweep.txt and sweep.json'
    )
    for method, seed in wanted:
        if method in left_out:
            continue
        if not sweep.read(runs[method][seed])['val']:
            print(f'{method} diverged with seed {seed}: no checkpoint')
            continue
        file = folder / f'{method}_seed{seed}.pth'
        sweep.save_checkpoint(runs[method][seed], file)
        print(f'python tools/test.py {file.with_suffix(".py")} {file}')


if __name__ == '__main__':
    try:
        with without_upstream_noise():
            main()
    except KeyboardInterrupt:
        raise SystemExit('\nStopped. The same command goes on from here.') from None
    except (OSError, ValueError) as error:
        raise SystemExit(f'stage2_sweep: {error}') from None
