"""Train and test a config on all folds of its data set, and pool the predictions."""

import argparse
from pathlib import Path

from mmimbal.command_line.compose import load_experiment
from mmimbal.command_line.failures import ToolFailedError
from mmimbal.command_line.flag_types import at_least
from mmimbal.command_line.flags import (
    FLAGS_OF_TRAINING,
    add_executor_flags,
    add_experiment_flags,
)
from mmimbal.command_line.run_tool import run_tool
from mmimbal.experiments.jobs import failure_report, run_jobs
from mmimbal.files.atomic import check_is_no_file
from mmimbal.files.json_file import write_json

TOOLS = Path(__file__).resolve().parent


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'config', help='e.g. configs/isic/stage2_crt.py or isic2018/64px/triplet/crt'
    )
    parser.add_argument(
        '--folds',
        type=at_least(1),
        help='number of folds: columns fold0, fold1, ... of index.csv, from '
        'prepare_dataset.py --folds; default: all of them',
    )
    parser.add_argument(
        '--stage1-config',
        help='config of stage 1, to train on each fold first, for your own config of '
        'stage 2',
    )
    parser.add_argument(
        '--work-dir', type=Path, help='default: work dir of the config + _folds'
    )
    add_experiment_flags(parser)
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='change the config, e.g. optim_wrapper.optimizer.lr=0.01',
    )
    parser.add_argument(
        '--stage1-cfg-options',
        nargs='+',
        metavar='KEY=VALUE',
        help='options for stage 1; default: those of --cfg-options',
    )
    for flag in ('--amp', *FLAGS_OF_TRAINING):
        parser.add_argument(
            flag,
            dest='flags',
            action='append_const',
            const=flag,
            default=[],
            help='as in train.py',
        )
    add_executor_flags(parser)
    return parser.parse_args()


def main() -> None:
    """Run all folds, and report the results."""
    args = parse_args()
    # Imported here, so that --help is quick.
    from mmimbal.evaluation.predictions import load_predictions
    from mmimbal.experiments.cross_validation import FoldJob, number_of_folds, stages_of
    from mmimbal.experiments.data_hash import hash_of_fold, index_of_config
    from mmimbal.experiments.executors import build_executor
    from mmimbal.experiments.fold_report import report
    from mmimbal.experiments.run_settings import DATA, record_settings

    stages = stages_of(
        args.config,
        args.profile,
        args.base,
        args.stage1_config,
        args.cfg_options,
        args.stage1_cfg_options,
    )
    cfg = load_experiment(args.config, args.profile, args.base)
    folds = number_of_folds(cfg, args.folds, args.cfg_options)
    work_dir = cfg.get('work_dir') or f'work_dirs/{Path(args.config).stem}'
    folder = args.work_dir or Path(f'{work_dir}_folds')
    check_is_no_file(folder)
    settings = dict(
        flags=args.flags,
        stages=[
            dict(config=load_experiment(stage.config).to_dict(), options=stage.options)
            for stage in stages
        ],
    )
    index = index_of_config(cfg, args.cfg_options)
    hashes = {f'fold{fold}': hash_of_fold(index, fold) for fold in range(folds)}
    settings[DATA] = {fold: found for fold, found in hashes.items() if found}
    record_settings(settings, folder)
    jobs = [FoldJob(fold, folder, TOOLS, stages, args.flags) for fold in range(folds)]
    failed = run_jobs(jobs, build_executor(args, folder), 'Folds')
    if failed:
        raise ToolFailedError(failure_report(failed, len(jobs), 'folds'))
    summary, text = report([load_predictions(job.predictions) for job in jobs])
    write_json(summary, folder / 'cross_validation.json')
    print(f'\n{args.config}: {text}\n\nWritten: {folder}/cross_validation.json')


if __name__ == '__main__':
    run_tool(main, goes_on=True)
