"""Train heads of stage 2 on the features of one stage 1, and compare them."""

import argparse
from pathlib import Path
from time import perf_counter

from joblib import cpu_count

from mmimbal.command_line.flag_types import at_least
from mmimbal.command_line.flags import KeyValues
from mmimbal.command_line.run_tool import run_tool
from mmimbal.files.atomic import check_can_be_file, check_is_no_file, write_text
from mmimbal.files.config_text import read_config
from mmimbal.files.lock import locked


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'stage1',
        help='a checkpoint of stage 1, or its work dir (best checkpoint, else last)',
    )
    parser.add_argument(
        '--config', help='config of stage 1; default: in the folder of the checkpoint'
    )
    parser.add_argument(
        '--methods',
        nargs='*',
        default=['all'],
        metavar='METHOD',
        help='bases of configs/_base_/stage2/, or files like them; default: all, which '
        'are those without by_name_only. Without METHOD, only the classifier of stage '
        '1 is tested',
    )
    parser.add_argument(
        '--seeds', type=at_least(1), default=5, help='number of seeds; default: 5'
    )
    parser.add_argument(
        '--views',
        type=at_least(1),
        default=4,
        help='augmented views of each training image; default: 4',
    )
    parser.add_argument(
        '--metric',
        default='balanced_accuracy',
        help='metric for choices on validation; default: balanced_accuracy',
    )
    parser.add_argument(
        '--no-search',
        action='store_true',
        help='use the hyper-parameters of the bases, without a search',
    )
    parser.add_argument(
        '--checkpoints',
        nargs='+',
        default=[],
        metavar='METHOD[:SEED]',
        help='write these heads with the backbone as ordinary checkpoints and configs',
    )
    parser.add_argument(
        '--predictions',
        action='store_true',
        help='write the predictions of all heads for test images: predictions/*.npz',
    )
    parser.add_argument(
        '--validation-only', action='store_true', help='do not read the test images'
    )
    parser.add_argument('--work-dir', type=Path, help='default: STAGE1/stage2_sweep')
    parser.add_argument(
        '--dtype',
        choices=['float32', 'float16'],
        default='float32',
        help='type of the features on disk',
    )
    parser.add_argument(
        '--processes',
        type=at_least(1),
        default=cpu_count(),
        help='default: one per core',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=KeyValues,
        default={},
        metavar='KEY=VALUE',
        help='change the config of stage 1, e.g. val_dataloader.batch_size=32',
    )
    return parser.parse_args()


def check_args(args: argparse.Namespace) -> None:
    """Raise a ValueError if flags cannot be combined."""
    if args.predictions and args.validation_only:
        raise ValueError(
            '--predictions needs test images, which --validation-only does not read'
        )


def main() -> None:
    """Compute features once, train all heads, choose on validation, test once."""
    args = parse_args()
    # Imported here, so that --help is quick.
    import torch
    from mmengine.logging import MMLogger
    from mmengine.registry import init_default_scope

    from mmimbal.command_line.memory import keep_memory
    from mmimbal.datasets import get_class_names
    from mmimbal.datasets.spelling import SPLITS
    from mmimbal.experiments.sweep_methods import load_methods
    from mmimbal.experiments.sweep_plan import (
        apply_options,
        check_metric,
        wanted_checkpoints,
    )
    from mmimbal.experiments.sweep_runner import (
        search_and_train,
        write_checkpoints,
        write_predictions,
    )
    from mmimbal.files.work_dir import find_checkpoint, find_config
    from mmimbal.stage2.config import stage2_config
    from mmimbal.stage2.head_run import HeadRun
    from mmimbal.stage2.stage1_features import build_datasets, compute_stage1_features
    from mmimbal.stage2.sweep import Sweep
    from mmimbal.stage2.sweep_result import SweepResult, best_first, report_text

    keep_memory()
    check_args(args)
    checkpoint = find_checkpoint(args.stage1).resolve()
    folder = args.work_dir or checkpoint.parent / 'stage2_sweep'
    check_is_no_file(folder)
    for name in ('sweep.json', 'sweep.txt'):
        check_can_be_file(folder / name)
    stage1 = read_config(args.config or find_config(checkpoint))
    bases = load_methods(args.methods)
    template = next(iter((bases or load_methods(['crt'])).values()))
    if 'train_dataloader' not in stage1:
        raise ValueError(
            f'{checkpoint} has a config without train_dataloader, as a published '
            'model: give the work dir of stage 1, or --config'
        )
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
    check_metric(args.metric, datasets['val'])
    with locked(folder / 'sweep'):
        start = perf_counter()
        features = compute_stage1_features(
            cfg,
            datasets,
            checkpoint,
            folder / 'features',
            args.views,
            args.dtype,
            stage1.get('train_cfg', {}).get('cache_dir'),
        )
        extracted = perf_counter()
        sweep = Sweep(features, folder / 'heads')
        chosen, failed = search_and_train(
            sweep, methods, searches, args.seeds, args.metric, args.processes
        )
        seconds = dict(extraction=extracted - start, heads=perf_counter() - extracted)
        rows = [sweep.row(runs) for runs in chosen.values()]
        result = SweepResult(
            stage1=str(checkpoint),
            batch_norm='frozen',
            device=torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU',
            views=args.views,
            number_of_seeds=args.seeds,
            metric=args.metric,
            seconds=seconds,
            failed=failed,
            rows=best_first([*rows, sweep.row_of_stage1(stage1)], args.metric),
            searched=not args.no_search,
            notes=[note for runs in chosen.values() if (note := sweep.note(runs[0]))],
        )
        text = report_text(
            result,
            get_class_names(datasets['train']),
            judged_on,
            was_held_back=args.validation_only
            or cfg.val_dataloader.dataset != cfg.test_dataloader.dataset,
        )
        result.write(folder)
        write_text(text, folder / 'sweep.txt')
        if args.predictions:
            write_predictions(sweep, chosen, stage1, folder)
        print(
            f'\n{text}\nFeatures took {seconds["extraction"]:.0f} s, heads '
            f'{seconds["heads"]:.0f} s. Written: {folder}/sweep.txt and sweep.json'
        )
        for line in write_checkpoints(sweep, chosen, wanted, folder):
            print(line)


if __name__ == '__main__':
    run_tool(main, goes_on=True)
