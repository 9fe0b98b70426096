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
    tools = ', '.join(names)
    usage = f'usage: python -m mmimbal TOOL ...\nTools, each with --help: {tools}'
    if sys.argv[1:] in (['-h'], ['--help']):
        print(usage)
        return
    if not sys.argv[1:] or sys.argv[1] not in names:
        raise SystemExit(''.join(f'no tool {name}\n' for name in sys.argv[1:2]) + usage)
    tool = TOOLS / f'{sys.argv[1]}.py'
    sys.argv[:2] = [str(tool)]
    runpy.run_path(str(tool), run_name='__main__')


if __name__ == '__main__':
    main()
