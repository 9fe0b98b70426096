"""Write the table of all methods, from their bases in configs/."""

import argparse
from pathlib import Path

from mmimbal.command_line.run_tool import run_tool
from mmimbal.files.atomic import check_can_be_file, write_text


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('docs/methods.md'),
        help='default: docs/methods.md',
    )
    args = parser.parse_args()
    # Imported here, so that --help is quick.
    from mmengine.registry import init_default_scope

    from mmimbal.experiments.methods_table import methods_page
    from mmimbal.experiments.page import check_is_page

    check_can_be_file(args.out)
    check_is_page(args.out)
    init_default_scope('mmpretrain')
    write_text(methods_page(), args.out)
    print(f'Written: {args.out}')


if __name__ == '__main__':
    run_tool(main)
