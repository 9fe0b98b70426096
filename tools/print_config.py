"""Print the whole config of an experiment, without the flags that only train.py has."""

import argparse
import sys
from contextlib import redirect_stdout

from mmimbal.command_line.flags import add_common_flags
from mmimbal.command_line.run_tool import run_tool


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'config',
        help='e.g. configs/isic/stage1_triplet.py or own/pretrained/recommended',
    )
    add_common_flags(parser)
    return parser.parse_args()


def main() -> None:
    """Merge bases and flags, and print the result."""
    args = parse_args()
    from mmimbal.command_line.run_config import load_config, use_amp  # slow to import

    with redirect_stdout(sys.stderr):  # the log
        cfg = load_config(args)
        if args.amp:
            use_amp(cfg)
    print(cfg.pretty_text.rstrip())


if __name__ == '__main__':
    run_tool(main)
