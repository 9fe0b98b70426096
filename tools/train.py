"""Train a classifier from a config."""

import argparse
import os
from contextlib import ExitStack
from pathlib import Path

from mmimbal.command_line.flags import add_common_flags
from mmimbal.command_line.quiet import without_upstream_noise
from mmimbal.command_line.run_tool import (
    messages_for_config_mistakes,
    messages_for_mistakes,
    stopped_by_hand,
)
from mmimbal.command_line.waiting import wait_briefly
from mmimbal.files.lock import locked_work_dir

HOW_TO_CONTINUE = 'use --resume to continue from the last checkpoint, if there is one'
# Where each launcher says the rank, before there is a process group.
RANKS = dict(slurm='SLURM_PROCID', mpi='OMPI_COMM_WORLD_RANK')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'config',
        help='e.g. configs/isic/stage1_triplet.py or own/pretrained/recommended',
    )
    parser.add_argument(
        '--stage1', help='checkpoint or work dir of stage 1, for a stage-2 config'
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='resume from a checkpoint, also with more epochs or other rates; default: '
        'the last checkpoint of the work dir',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by (batch size x ranks) / '
        'auto_scale_lr.base_batch_size',
    )
    parser.add_argument(
        '--no-validate',
        action='store_true',
        help='do not validate; then stage 2 starts from the last checkpoint',
    )
    add_common_flags(parser)
    return parser.parse_args()


def main() -> None:
    """Merge the flags into the config and train."""
    args = parse_args()
    # Imported here, so that --help is quick.
    from mmengine.runner import Runner

    from mmimbal.command_line.end_workers import end_workers
    from mmimbal.command_line.memory import keep_memory
    from mmimbal.command_line.missing_files import check_checkpoints, check_data
    from mmimbal.command_line.run_config import (
        check_optimizer,
        drop_compile_without_compiler,
        load_config,
        start_from,
        use_amp,
        warn_of_other_length,
        warn_unless_deterministic,
    )
    from mmimbal.command_line.sigterm import exit_on_sigterm, explain_dead_workers
    from mmimbal.engine.hooks.work_dir_hook import check_work_dir
    from mmimbal.files.checkpoint import safe_loading
    from mmimbal.files.save_checkpoint import atomic_saving

    keep_memory()
    with messages_for_mistakes():
        cfg = load_config(args)
    if args.amp:
        use_amp(cfg)
    drop_compile_without_compiler(cfg)
    warn_of_other_length(cfg)
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    if args.stage1:
        with messages_for_mistakes():
            start_from(cfg, args.stage1)
    if args.auto_scale_lr:
        cfg.merge_from_dict({'auto_scale_lr.enable': True})
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    with (
        exit_on_sigterm(HOW_TO_CONTINUE),
        explain_dead_workers(),
        safe_loading(),
        atomic_saving(),
        ExitStack() as stack,
    ):
        # Before the Runner writes its config there.
        with messages_for_mistakes():
            work_dir = Path(cfg.work_dir)
            check_optimizer(cfg)
            check_data(cfg, 'train_dataloader', 'val_dataloader')
            check_checkpoints(cfg)
            if os.environ.get(RANKS.get(args.launcher, 'RANK'), '0') == '0':
                stack.enter_context(locked_work_dir(work_dir))
            if not cfg.get('resume'):
                check_work_dir(work_dir, cfg)
        with messages_for_config_mistakes():
            runner = Runner.from_cfg(cfg)
            warn_unless_deterministic(cfg)
            runner.train()
            end_workers(runner)


if __name__ == '__main__':
    wait_briefly()
    with stopped_by_hand(HOW_TO_CONTINUE), without_upstream_noise():
        main()
