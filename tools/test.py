"""Test a checkpoint on the test split of its config."""

import argparse

import mmengine
from mmengine.runner import Runner

from mmimbal.engine.flags import add_common_flags, load_config
from mmimbal.engine.stage2 import find_checkpoint


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='e.g. configs/isic/stage2_crt.py')
    parser.add_argument('checkpoint', help='a checkpoint, or a work dir for its best')
    parser.add_argument('--out', help='write the metrics to this .json file')
    add_common_flags(parser)
    return parser.parse_args()


def main() -> None:
    """Merge the flags into the config and test."""
    args = parse_args()
    cfg = load_config(args)
    checkpoint = find_checkpoint(args.checkpoint)
    cfg.load_from = None
    cfg.test_cfg.fp16 = args.amp
    runner = Runner.from_cfg(cfg)
    # A checkpoint of another model must not be scored.
    runner.load_checkpoint(str(checkpoint), strict=True)
    metrics = runner.test()
    if args.out:
        mmengine.dump(metrics, args.out, indent=2)


if __name__ == '__main__':
    main()
