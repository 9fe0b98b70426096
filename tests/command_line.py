"""Running tools as a user does."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

# A net and a training of the smallest kind.
OPTIONS = [
    'model.backbone.stem_channels=4',
    'model.backbone.base_channels=4',
    'model.head.in_channels=32',
    'train_cfg.max_epochs=1',
]


def run(*command, env=None, cwd=ROOT) -> subprocess.CompletedProcess:
    """Run a tool with this Python."""
    script, *arguments = map(str, command)
    interpreter = [] if script.endswith('.sh') else [sys.executable]
    path = f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
    return subprocess.run(
        [*interpreter, script, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'PATH': path, **(env or {})},
    )


def succeed(*command, **options) -> str:
    result = run(*command, **options)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout + result.stderr


def fail(*command, **options) -> str:
    result = run(*command, **options)
    assert result.returncode != 0
    return result.stderr


def explain(tool, *arguments) -> str | int | None:
    """Run a tool in this process; return what it exits with, ``None`` if well."""
    path = str(ROOT / 'tools' / f'{tool}.py')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('sys.argv', [path, *map(str, arguments)])
        try:
            runpy.run_path(path, run_name='__main__')
        except SystemExit as stopped:
            return stopped.code
    return None
