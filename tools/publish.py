"""Write a checkpoint and a config for inference, without the parts for training."""

import argparse
from pathlib import Path

from mmengine.registry import init_default_scope

from mmimbal.command_line.run_tool import run_tool
from mmimbal.files.atomic import check_is_no_folder, write_text
from mmimbal.files.checkpoint import save_checkpoint_file
from mmimbal.inference.predictor import find_members, load_member
from mmimbal.inference.published import published_model


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'checkpoints',
        type=Path,
        nargs='+',
        metavar='checkpoint',
        help='a checkpoint, a work dir (uses its best checkpoint), or the folder of a '
        'cross-validation; several are published as one ensemble',
    )
    parser.add_argument('out', type=Path, help='e.g. isic.pth; isic.py is written too')
    parser.add_argument(
        '--config', help='config of training; default: in the folder of the checkpoint'
    )
    return parser.parse_args()


def main() -> None:
    """Write both files."""
    args = parse_args()
    if args.out.suffix != '.pth':
        raise ValueError(
            f'{args.out} must end in .pth: the config is written next to it, with .py'
        )
    for file in (args.out, args.out.with_suffix('.py')):
        check_is_no_folder(file)
    init_default_scope('mmpretrain')
    checkpoints = [file for path in args.checkpoints for file in find_members(path)]
    if any(args.out.resolve().parent == file.resolve().parent for file in checkpoints):
        raise ValueError(
            f'{args.out} is in the folder of the training checkpoint, where a second '
            'config would be confused with the config of training: choose another '
            'folder'
        )
    if args.config and len(checkpoints) > 1:
        raise ValueError('--config is for one checkpoint, but there are several')
    members = [load_member(file, args.config) for file in checkpoints]
    cfg, published = published_model(members)
    save_checkpoint_file(published, args.out)
    write_text(cfg.pretty_text, args.out.with_suffix('.py'))
    imports = ' and '.join(cfg.get('custom_imports', {}).get('imports', []))
    needs = f'needs {imports}' if imports else 'needs only MMPretrain'
    size = sum(file.stat().st_size for file in checkpoints) / 1e6
    what = checkpoints[0] if len(checkpoints) == 1 else f'{len(checkpoints)} members'
    print(
        f'{what}: {size:.1f} MB\n'
        f'{args.out}: {args.out.stat().st_size / 1e6:.1f} MB, {needs}. Use it with\n'
        f"ImageClassificationInferencer('{args.out.with_suffix('.py')}', '{args.out}')"
    )


if __name__ == '__main__':
    run_tool(main)
