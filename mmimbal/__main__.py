"""Run a tool of the installed package: ``python -m mmimbal train CONFIG``."""

import runpy
import sys
from pathlib import Path

TOOLS = Path(__file__).parent / '.mim' / 'tools'


def main() -> None:
    """Run the tool that the first argument names, with the other arguments.

    Raises:
        SystemExit: If there is no such tool.
    """
    names = sorted(file.stem for file in TOOLS.glob('*.py'))
    if not sys.argv[1:] or sys.argv[1] not in names:
        raise SystemExit(
            'usage: python -m mmimbal TOOL ...\nTools, each with --help: '
            f'{", ".join(names)}'
        )
    tool = TOOLS / f'{sys.argv[1]}.py'
    sys.argv[:2] = [str(tool)]
    runpy.run_path(str(tool), run_name='__main__')


if __name__ == '__main__':
    main()
