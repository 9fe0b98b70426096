"""Test a checkpoint on the test split of its config."""

import argparse
from pathlib import Path

import mmengine
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from mmimbal.command_line.flags import add_common_flags, load_config
from mmimbal.command_line.quiet import without_upstream_noise
from mmimbal.engine.ddp import unwrap_model
from mmimbal.evaluation.curves import read_curves
from mmimbal.evaluation.keep_scores import KeepScores
from mmimbal.evaluation.predictions import SUFFIX, predictions_for
from mmimbal.files.atomic import atomic_write
from mmimbal.files.checkpoint import safe_loading
from mmimbal.stage2.stage1 import find_checkpoint


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='e.g. configs/isic/stage2_crt.py')
    parser.add_argument('checkpoint', help='a checkpoint, or a work dir for its best')
    parser.add_argument(
        '--out',
        type=Path,
        nargs='+',
        default=[],
        metavar='FILE',
        help='write metrics to FILE.json, scores of all images to FILE.npz',
    )
    parser.add_argument(
        '--embeddings',
        action='store_true',
        help='keep what backbone and neck give in the .npz too',
    )
    add_common_flags(parser)
    args = parser.parse_args()
    for file in args.out:
        if file.suffix not in ('.json', SUFFIX):
            parser.error(f'--out {file} must end in .json (metrics) or {SUFFIX}')
        if file.is_dir():
            parser.error(f'--out {file} is a folder: name a file in it')
    if args.embeddings and not any(file.suffix == SUFFIX for file in args.out):
        parser.error(f'--embeddings needs --out FILE{SUFFIX}')
    return args


def main() -> None:
    """Merge the flags into the config, test, and write what was asked for."""
    args = parse_args()
    cfg = load_config(args)
    checkpoint = find_checkpoint(args.checkpoint)
    if not args.work_dir:  # the training's keeps the config that it was trained with
        cfg.work_dir = str(Path(cfg.work_dir, 'test'))
    cfg.load_from = None
    cfg.test_cfg.fp16 = args.amp or cfg.test_cfg.get('fp16', False)
    runner = Runner.from_cfg(cfg)
    # A checkpoint of another model must not be scored.
    with safe_loading():
        loaded = runner.load_checkpoint(str(checkpoint), strict=True)
    meta = loaded.get('meta', {})
    head = unwrap_model(runner.model).head if args.embeddings else None
    kept = KeepScores(runner.test_dataloader.dataset, head)
    if any(file.suffix == SUFFIX for file in args.out):
        runner.test_loop.evaluator.metrics.append(kept)
    metrics = runner.test()
    if not is_main_process():
        return
    for file in args.out:
        if file.suffix == SUFFIX:
            predictions_for(
                runner.test_dataloader.dataset,
                kept.scores,
                meta.get('class_counts'),
                kept.embeddings,
                config=cfg.pretty_text,
                checkpoint=str(checkpoint),
                # A head of a sweep has logged nothing: those of its stage 1.
                curves=read_curves(checkpoint.parent)
                or read_curves(Path(meta.get('stage1', checkpoint)).parent),
            ).save(file)
        else:
            with atomic_write(file) as unfinished:
                mmengine.dump(metrics, unfinished, file_format='json', indent=2)


if __name__ == '__main__':
    with without_upstream_noise():
        main()
