"""Write a checkpoint and a config for inference, without the parts for training."""

import argparse
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmimbal.command_line.run_tool import run_tool
from mmimbal.files.atomic import check_is_no_folder, write_text
from mmimbal.files.checkpoint import load_from_local, save_checkpoint_file
from mmimbal.stage2.config import find_config
from mmimbal.stage2.publishing import inference_checkpoint, inference_config
from mmimbal.stage2.stage1 import find_checkpoint


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'checkpoint', help='a checkpoint, or a work dir (uses its best checkpoint)'
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
    checkpoint = find_checkpoint(args.checkpoint)
    if args.out.resolve().parent == checkpoint.resolve().parent:
        raise ValueError(
            f'{args.out} is in the folder of the training checkpoint, where a second '
            'config would be confused with the config of training: choose another '
            'folder'
        )
    cfg = inference_config(Config.fromfile(args.config or find_config(checkpoint)))
    published = inference_checkpoint(load_from_local(checkpoint, 'cpu'), cfg)
    save_checkpoint_file(published, args.out)
    write_text(cfg.pretty_text, args.out.with_suffix('.py'))
    imports = ' and '.join(cfg.get('custom_imports', {}).get('imports', []))
    needs = f'needs {imports}' if imports else 'needs only MMPretrain'
    print(
        f'{checkpoint}: {checkpoint.stat().st_size / 1e6:.1f} MB\n'
        f'{args.out}: {args.out.stat().st_size / 1e6:.1f} MB, {needs}. Use it with\n'
        f"ImageClassificationInferencer('{args.out.with_suffix('.py')}', '{args.out}')"
    )


if __name__ == '__main__':
    run_tool(main)
