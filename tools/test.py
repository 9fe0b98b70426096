"""Test a checkpoint on the test split of its config."""

import argparse
import logging
from pathlib import Path

from mmimbal.command_line.flag_types import at_least
from mmimbal.command_line.flags import add_common_flags
from mmimbal.command_line.quiet import without_upstream_noise
from mmimbal.command_line.run_tool import (
    messages_for_config_mistakes,
    messages_for_mistakes,
    stopped_by_hand,
)
from mmimbal.command_line.waiting import wait_briefly
from mmimbal.files.atomic import check_can_be_file, check_is_no_file

# The default of MMPretrain, for a config without a visualizer.
VISUALIZER = dict(
    type='UniversalVisualizer', vis_backends=[dict(type='LocalVisBackend')]
)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'config',
        help='e.g. configs/isic/stage2_crt.py or own/pretrained/recommended/crt',
    )
    parser.add_argument(
        'checkpoint',
        help='a checkpoint, a work dir (uses its best checkpoint, else its last), a '
        'published file, or the folder of a cross-validation',
    )
    parser.add_argument(
        '--out',
        type=Path,
        nargs='+',
        default=[],
        metavar='FILE',
        help='files to write. The extension decides the content. .npz: scores of all '
        'images, for tools/report.py; .json or .yaml: metrics; .pkl or .pickle: '
        'data samples of MMPretrain, a list with one dict for each image',
    )
    parser.add_argument(
        '--out-item',
        choices=['metrics', 'pred'],
        help='as in MMPretrain: write metrics, or data samples (pred), to all FILEs '
        'except .npz; in .json and .yaml, tensors become lists',
    )
    parser.add_argument('--split', help='test on this split, such as train or val')
    parser.add_argument(
        '--embeddings',
        action='store_true',
        help='also save the embeddings (outputs of backbone and neck) in the .npz',
    )
    parser.add_argument(
        '--tta',
        nargs='?',
        choices=['config', 'flips', 'crops'],
        const='config',
        help='test-time augmentation. config, the default: with tta_pipeline and '
        'tta_model of the config, or flips if it has none; flips: the mean of the '
        'scores of each image and its mirror image; crops: of ten crops, the corners '
        'and the middle, mirrored too',
    )
    parser.add_argument(
        '--show-dir',
        type=Path,
        metavar='FOLDER',
        help='write pictures of test images with label, prediction and score to FOLDER',
    )
    parser.add_argument(
        '--interval',
        type=at_least(1),
        metavar='N',
        help='draw every N-th image, for --show-dir; default: 1',
    )
    add_common_flags(parser)
    args = parser.parse_args()
    from mmimbal.engine.test_run.keep_samples import FORMATS
    from mmimbal.evaluation.predictions import SUFFIX

    for file in args.out:
        if file.suffix not in (*FORMATS, SUFFIX):
            parser.error(f'--out {file} must end in one of {", ".join(FORMATS)}, .npz')
        try:
            check_can_be_file(file, Path(args.config), Path(args.checkpoint))
        except OSError as error:
            parser.error(f'--out: {error}')
    if args.out_item and all(file.suffix == SUFFIX for file in args.out):
        parser.error(f'--out-item needs --out FILE, and not only {SUFFIX}')
    if args.interval and not args.show_dir:
        parser.error('--interval is for --show-dir FOLDER')
    if without_effect := {'load_from', 'resume'} & set(args.cfg_options or {}):
        parser.error(f'--cfg-options {without_effect.pop()}: give the checkpoint')
    if args.embeddings and not any(file.suffix == SUFFIX for file in args.out):
        parser.error(f'--embeddings needs --out FILE{SUFFIX}')
    if args.embeddings and args.tta:
        parser.error('--embeddings needs one view of each image, but --tta has several')
    return args


def main() -> None:
    """Merge the flags into the config, test, and write the files."""
    args = parse_args()
    # Imported here, so that --help is quick.
    from mmengine.dist import is_main_process
    from mmengine.logging import print_log
    from mmengine.runner import Runner

    from mmimbal.command_line.end_workers import end_workers
    from mmimbal.command_line.memory import keep_memory
    from mmimbal.command_line.missing_files import check_data, check_is_no_data
    from mmimbal.command_line.run_config import (
        can_use_amp,
        choose_split,
        drop_averaging,
        load_config,
    )
    from mmimbal.command_line.tested_model import (
        load_checkpoint_for_test,
        load_ensemble_for_test,
    )
    from mmimbal.engine.ddp import unwrap_model
    from mmimbal.engine.test_run.curves import read_curves
    from mmimbal.engine.test_run.draw_images import drawing_hook
    from mmimbal.engine.test_run.head_inputs import head_of
    from mmimbal.engine.test_run.keep_samples import KeepSamples, write
    from mmimbal.engine.test_run.keep_scores import KeepScores
    from mmimbal.engine.test_run.tta import average_views, load_views
    from mmimbal.evaluation.predictions import predictions_for
    from mmimbal.files.dataset_config import innermost
    from mmimbal.files.work_dir import holds_training
    from mmimbal.inference.members import find_members
    from mmimbal.inference.predictor import load_ensemble

    keep_memory()
    with messages_for_mistakes():
        if args.show_dir:
            check_is_no_file(args.show_dir)
        cfg = load_config(args)
        if cfg.get('test_cfg') is None or cfg.get('test_evaluator') is None:
            raise ValueError(
                f'{args.config} has no test_cfg or no test_evaluator, as a published '
                'config: give the config of training'
            )
        ensemble = load_ensemble(Path(args.checkpoint), cfg)
        if ensemble:
            checkpoint, cfg.model = Path(args.checkpoint), ensemble.model_cfg
        else:
            (checkpoint,) = find_members(Path(args.checkpoint))
        if args.split:
            choose_split(cfg, args.split)
        check_data(cfg, 'test_dataloader')
        check_is_no_data(cfg, args.out)
        if args.tta:
            load_views(cfg, args.tta)
    if not args.work_dir or holds_training(Path(cfg.work_dir)):
        cfg.work_dir = str(Path(cfg.work_dir, 'test'))  # keeps the config of training
    cfg.load_from, cfg.resume = None, False
    drop_averaging(cfg)
    cfg.test_cfg.fp16 = cfg.test_cfg.get('fp16', False) or (args.amp and can_use_amp())
    if args.show_dir:
        cfg.setdefault('visualizer', VISUALIZER)
    split = innermost(cfg.test_dataloader.dataset, 'split').get('split')
    with messages_for_config_mistakes():
        runner = Runner.from_cfg(cfg)
        if args.show_dir:
            runner.register_hook(drawing_hook(cfg, args.show_dir, args.interval or 1))
        dataset = runner.test_dataloader.dataset
    with messages_for_mistakes():
        if ensemble:
            tested = load_ensemble_for_test(runner, ensemble)
        else:
            tested = load_checkpoint_for_test(runner, checkpoint, args.config, split)
    if tested.leak:
        print_log(tested.leak, 'current', logging.WARNING)
    head = None
    if args.embeddings:
        with messages_for_mistakes():
            head = head_of(unwrap_model(runner.model))
    if args.tta:
        with messages_for_config_mistakes():
            average_views(runner)
    items = {file: item_of(file, args.out_item) for file in args.out}
    scores, samples = KeepScores(dataset, head), KeepSamples()
    for item, kept in (('scores', scores), ('pred', samples)):
        if item in items.values():
            runner.test_loop.evaluator.metrics.append(kept)
    with messages_for_config_mistakes():
        metrics = runner.test()
        end_workers(runner)
    if not is_main_process():
        return
    with messages_for_mistakes():
        for file, item in items.items():
            if item == 'scores':
                predictions_for(
                    dataset,
                    scores.scores,
                    tested.meta.get('class_counts'),
                    scores.embeddings,
                    config=cfg.pretty_text,
                    checkpoint=str(checkpoint),
                    model=tested.hash,
                    tta=args.tta,
                    split=split,
                    leak=tested.leak,
                    # A head of a sweep has no log: use that of its stage 1.
                    curves=read_curves(checkpoint.parent)
                    or read_curves(Path(tested.meta.get('stage1', checkpoint)).parent),
                ).save(file)
            else:
                write(metrics if item == 'metrics' else samples.samples, file)
            print(f'Written: {file}')


def item_of(file: Path, out_item: str | None) -> str:
    """Return the content of a file: ``scores``, ``metrics`` or ``pred``."""
    from mmimbal.engine.test_run.keep_samples import FORMATS
    from mmimbal.evaluation.predictions import SUFFIX

    if file.suffix == SUFFIX:
        return 'scores'
    return out_item or ('pred' if FORMATS[file.suffix] == 'pkl' else 'metrics')


if __name__ == '__main__':
    wait_briefly()
    with stopped_by_hand(), without_upstream_noise():
        main()
