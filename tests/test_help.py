"""The help of a tool is there at once."""

import runpy
import subprocess
import sys

import pytest

from mmimbal.datasets.sources import READERS
from mmimbal.engine.test_run.tta import OF_CONFIG, VIEWS
from mmimbal.inference.fit_decisions import METHODS
from tests.conftest import ROOT

TOOLS = sorted((ROOT / 'tools').glob('*.py'))
# What takes seconds to import.
HEAVY = {
    'torch',
    'torchvision',
    'mmcv',
    'mmpretrain',
    'sklearn',
    'scipy',
    'pandas',
    'pyarrow',
    'matplotlib',
    'pytorch_metric_learning',
}
# One process for all tools: the first one that imports too much is named.
SHOW_HELP = f"""
import contextlib, io, os, runpy, sys
os.getloadavg = lambda: (1e6, 0, 0)
for tool in sys.argv[1:]:
    sys.argv = [tool, '--help']
    os.environ.pop('GOMP_SPINCOUNT', None)
    try:
        with contextlib.redirect_stdout(io.StringIO()) as text:
            runpy.run_path(tool, run_name='__main__')
    except SystemExit as stopped:
        assert not stopped.code, tool
    assert text.getvalue().startswith('usage:'), tool
    assert 'GOMP_SPINCOUNT' in os.environ, tool  # before torch is imported
    heavy = {HEAVY!r} & sys.modules.keys()
    assert not heavy, f'{{tool}} imports {{heavy}} for --help'
"""


def test_help_imports_nothing_that_takes_seconds():
    assert len(TOOLS) > 10
    command = [sys.executable, '-c', SHOW_HELP, *map(str, TOOLS)]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert not shown.stderr


@pytest.mark.parametrize(
    ('tool', 'flag', 'expected'),
    [
        ('prepare_dataset', 'name', [*READERS]),
        ('calibrate', 'method', [*sorted(METHODS, reverse=True), 'none']),
        ('predict', 'tta', [*VIEWS]),
        ('test', 'tta', [OF_CONFIG, *VIEWS]),
    ],
)
def test_choices_written_in_a_tool_are_those_of_the_package(
    tool, flag, expected, monkeypatch
):
    seen = {}

    def keep(parser, *args, **kwargs):
        seen.update({action.dest: action.choices for action in parser._actions})
        raise SystemExit

    monkeypatch.setattr('argparse.ArgumentParser.parse_args', keep)
    names = runpy.run_path(str(ROOT / 'tools' / f'{tool}.py'))
    with pytest.raises(SystemExit):
        names['parse_args']()
    assert list(seen[flag]) == expected
