"""Write a checkpoint and a config for inference, without the parts for training."""

import argparse
from pathlib import Path

from mmimbal.command_line.run_tool import run_tool
from mmimbal.files.atomic import write_text

LARGEST_DIFFERENCE = 1e-3  # of a probability in ONNX and PyTorch


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'checkpoints',
        type=Path,
        nargs='+',
        metavar='checkpoint',
        help='a checkpoint, a work dir (uses its best checkpoint, else its last), or '
        'the folder of a cross-validation; several are published as one ensemble',
    )
    parser.add_argument(
        'out', type=Path, help='e.g. isic.pth; isic.py and isic.md are written too'
    )
    parser.add_argument(
        '--config', help='config of training; default: in the folder of the checkpoint'
    )
    parser.add_argument(
        '--onnx',
        action='store_true',
        help='also write an ONNX file, from RGB images of 8 bits to probabilities',
    )
    parser.add_argument(
        '--images',
        type=Path,
        help='a folder of images, on which ONNX and PyTorch are compared',
    )
    parser.add_argument(
        '--predictions',
        type=Path,
        metavar='FILE.npz',
        help='of the test images by this model, from tools/test.py: their metrics are '
        'put in the model card',
    )
    return parser.parse_args()


def write_onnx_beside(out: Path, size: tuple[int, int], images: list[str]) -> None:
    """Write a published model as ONNX, and compare it with PyTorch on images."""
    from mmimbal.inference.onnx_file import (
        difference_from_torch,
        write_onnx,
    )
    from mmimbal.inference.predictor import load_predictor

    predictor = load_predictor([out])
    file = out.with_suffix('.onnx')
    write_onnx(predictor, file, size)
    print(f'{file}: RGB images, uint8, (N, 3, {size[0]}, {size[1]}), to probabilities')
    if images:
        try:
            largest, found = difference_from_torch(predictor, file, images)
            if largest > LARGEST_DIFFERENCE:
                raise ValueError(
                    f'{file} does not compute what PyTorch does: probabilities differ '
                    f'by {largest:.1e}, and {LARGEST_DIFFERENCE:g} is allowed'
                )
        except ValueError as error:
            file.unlink()
            raise ValueError(f'{error}. The ONNX file was removed') from None
        number = f'{found} of {len(images)}' if found < len(images) else found
        print(f'Largest difference from PyTorch on {number} images: {largest:.1e}')
    else:
        print(f'{file} was not compared with PyTorch: give --images')


def check_classes(found: tuple, wanted: tuple, file: Path) -> None:
    """Raise a ValueError if predictions are for other classes than a model."""
    if found != wanted:
        raise ValueError(
            f'{file} is for the classes {", ".join(found)}, the model for '
            f'{", ".join(wanted)}'
        )


def shares_config(out: Path, checkpoint: Path) -> bool:
    """Return whether a config beside ``out`` would be found for a checkpoint, too."""
    has_own = checkpoint.with_suffix('.py').is_file()
    return out.resolve().parent == checkpoint.resolve().parent and not has_own


def main() -> None:
    """Write both files."""
    args = parse_args()
    # Imported here, so that --help is quick.
    from mmengine.registry import init_default_scope

    from mmimbal.evaluation.predictions import load_predictions
    from mmimbal.files.save_checkpoint import save_checkpoint_file
    from mmimbal.files.state_hash import state_hash
    from mmimbal.inference.decisions import Decisions
    from mmimbal.inference.find_images import find_images
    from mmimbal.inference.image_size import size_of_images
    from mmimbal.inference.members import find_members, load_member
    from mmimbal.inference.model_card import model_card
    from mmimbal.inference.onnx_file import check_fits_in_one_file, check_packages
    from mmimbal.inference.published import check_place, published_model
    from mmimbal.inference.stored_decisions import check_made_by, check_not_fitted_on

    suffixes = ('.pth', '.py', '.md', *(['.onnx'] if args.onnx else []))
    config = [Path(args.config)] if args.config else []
    check_place(args.out, suffixes, *args.checkpoints, *config)
    if args.images and not args.onnx:
        raise ValueError('--images is for --onnx')
    images = find_images([args.images]) if args.images else []
    if args.onnx:
        check_packages(compares=bool(images))
    predictions = load_predictions(args.predictions) if args.predictions else None
    init_default_scope('mmpretrain')
    checkpoints = [file for path in args.checkpoints for file in find_members(path)]
    check_place(args.out, suffixes, *checkpoints)
    if any(shares_config(args.out, file) for file in checkpoints):
        raise ValueError(
            f'{args.out} is in the folder of the training checkpoint, where a second '
            'config would be confused with the config of training: choose another '
            'folder'
        )
    if args.config and len(checkpoints) > 1:
        raise ValueError('--config is for one checkpoint, but there are several')
    members = [load_member(file, args.config) for file in checkpoints]
    if args.onnx:
        size = size_of_images(members[0].pipeline)  # before anything is written
    cfg, published = published_model(members)
    if args.onnx:
        check_fits_in_one_file(published['state_dict'])
    classes = members[0].classes
    stored = published['meta'].get('decisions')
    decisions = Decisions.from_dict(stored, classes) if stored else None
    if predictions:
        check_classes(predictions.classes, classes, args.predictions)
        model_hash = state_hash(published['state_dict'])
        check_made_by(predictions, model_hash, str(args.out))
        check_not_fitted_on(predictions, published['meta'], decisions, str(args.out))
    args.out.with_suffix('.onnx').unlink(missing_ok=True)  # of an earlier model
    save_checkpoint_file(published, args.out)
    write_text(cfg.pretty_text, args.out.with_suffix('.py'))
    metas = [member.meta for member in members]
    pipeline = members[0].pipeline
    card = model_card(
        args.out.stem, classes, cfg, metas, pipeline, decisions, predictions
    )
    write_text(card, args.out.with_suffix('.md'))
    if args.onnx:
        write_onnx_beside(args.out, size, images)
    imports = ' and '.join(cfg.get('custom_imports', {}).get('imports', []))
    needs = f'needs {imports}' if imports else 'needs only MMPretrain'
    size = sum(file.stat().st_size for file in checkpoints) / 1e6
    what = checkpoints[0] if len(checkpoints) == 1 else f'{len(checkpoints)} members'
    config, card = (args.out.with_suffix(suffix) for suffix in ('.py', '.md'))
    print(
        f'Read: {what}, {size:.1f} MB\n'
        f'Written: {args.out}, {args.out.stat().st_size / 1e6:.1f} MB, with its config '
        f'{config} and its card {card}. It {needs}. Use it with\n'
        f'  python tools/predict.py {args.out} IMAGES\n'
        f"or ImageClassificationInferencer('{config}', '{args.out}') of mmpretrain"
    )


if __name__ == '__main__':
    run_tool(main)
