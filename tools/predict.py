"""Predict new images with a model, or with the mean of several."""

import argparse
import os
from pathlib import Path

from mmimbal.command_line.flag_types import at_least
from mmimbal.command_line.run_tool import run_tool
from mmimbal.files.atomic import check_can_be_file


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'models',
        type=Path,
        nargs='+',
        metavar='MODEL',
        help='a published file, a checkpoint, a work dir, or the folder of a '
        'cross-validation; several are averaged',
    )
    parser.add_argument(
        'images', type=Path, metavar='IMAGES', help='a folder, or an image'
    )
    parser.add_argument(
        '--more-images',
        type=Path,
        nargs='+',
        default=[],
        metavar='IMAGES',
        help='more folders or images',
    )
    parser.add_argument(
        '--split', help='predict this split; then IMAGES is a prepared data set'
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('predictions.csv'),
        help='the CSV file; default: predictions.csv',
    )
    parser.add_argument(
        '--tta',
        nargs='?',
        choices=['flips', 'crops'],
        const='flips',
        help='test-time augmentation: average over the image and its mirror image '
        '(flips, the default), or over ten crops: the corners and the middle, mirrored '
        'too',
    )
    parser.add_argument(
        '--range',
        nargs=2,
        type=float,
        metavar=('LOW', 'HIGH'),
        help='values of images of more than 8 bits that become 0 and 255: those of '
        'tools/prepare_dataset.py for the training images',
    )
    parser.add_argument(
        '--neighbours',
        type=at_least(1),
        metavar='N',
        help='name the N nearest images of --index, their classes and cosines',
    )
    parser.add_argument(
        '--index',
        type=Path,
        metavar='FILE',
        help='embeddings of training images by the same model, written by '
        'tools/test.py --split train --embeddings --out FILE',
    )
    parser.add_argument(
        '--batch-size', type=at_least(1), default=64, help='default: 64'
    )
    parser.add_argument(
        '--workers',
        type=at_least(0),
        default=2,
        help='processes that read images, on each GPU; default: 2',
    )
    args = parser.parse_args()
    if (args.neighbours is None) != (args.index is None):
        parser.error('--neighbours N and --index FILE go together')
    return args


def join_ranks() -> None:
    """Join the other processes of torchrun, if there are any."""
    import torch
    from mmengine.dist import init_dist

    from mmimbal.command_line.cpu_ranks import join_on_cpu

    if 'WORLD_SIZE' not in os.environ:
        return
    if torch.cuda.is_available():
        init_dist('pytorch')
    else:
        join_on_cpu()


def main() -> None:
    """Load the models, predict, and write the file."""
    args = parse_args()
    # Imported here, so that --help is quick.
    from mmengine.device import get_device
    from mmengine.dist import is_main_process

    from mmimbal.command_line.memory import keep_memory
    from mmimbal.datasets.sources.depth import check_one_depth
    from mmimbal.datasets.sources.walk import own_files
    from mmimbal.inference.find_images import (
        files_left_out,
        find_images,
        groups_of_split,
    )
    from mmimbal.inference.leaks import check_no_leak
    from mmimbal.inference.members import number_of_members
    from mmimbal.inference.neighbours import load_neighbours
    from mmimbal.inference.predict import predict_files
    from mmimbal.inference.predictor import load_predictor

    keep_memory()
    folders = [args.images, *args.more_images]
    files = find_images(folders, args.split)
    of_data = [file for folder in folders for file in own_files(folder)]
    read = [*args.models, *of_data, *filter(None, [args.index])]
    check_can_be_file(args.out, *read, *map(Path, files))
    if args.range:
        check_one_depth(map(Path, files), *args.range)
    join_ranks()
    predictor = load_predictor(args.models, get_device())
    members = number_of_members(predictor.model_cfg)
    if args.split and members > 1:
        groups = groups_of_split(args.images, args.split)
        check_no_leak(predictor.members, groups)
    neighbours = None
    if args.index:
        neighbours = load_neighbours(
            args.index, predictor.classes, args.neighbours, predictor.model_hash
        )
    broken = predict_files(
        predictor,
        files,
        args.out,
        args.batch_size,
        args.workers,
        args.tta,
        neighbours,
        args.range and tuple(args.range),
    )
    if not is_main_process():
        return
    what = f'the mean of {members} models' if members > 1 else 'one model'
    decisions = predictor.decisions
    calibrated = 'calibrated' if decisions and decisions.calibration else 'uncalibrated'
    number = '1 image' if len(files) == 1 else f'{len(files)} images'
    print(f'Written: {args.out}, {number} by {what}, {calibrated}')
    left_out = {} if args.split else files_left_out(folders, args.out)
    if left_out:
        reasons = (f'{number} {reason}' for reason, number in left_out.items())
        print(f'Files that were left out: {", ".join(reasons)}')
    if broken:
        print(f'{broken} of {number} could not be predicted: see the column problem')
    if broken == len(files):
        raise ValueError(f'none of the images could be predicted: see {args.out}')


if __name__ == '__main__':
    run_tool(main, goes_on=True)
