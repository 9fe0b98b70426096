"""Running tools as a user does."""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pytest
from mmengine.logging import MessageHub, MMLogger
from mmengine.visualization import Visualizer

import tests.imported  # noqa: F401
from mmimbal.experiments import local_executor
from tests.conftest import ROOT

# A net and a training of the smallest kind.
OPTIONS = [
    'model.backbone.stem_channels=4',
    'model.backbone.base_channels=4',
    'model.head.in_channels=32',
    'train_cfg.max_epochs=1',
]


def run(*command, env=None, cwd=ROOT) -> subprocess.CompletedProcess:
    """Run a tool with this Python; one of ours in a fork, where all is imported."""
    script, *arguments = map(str, command)
    tool = ROOT / script
    if tool.parent == ROOT / 'tools' and tool.suffix == '.py' and not env:
        return run_forked(str(tool), *arguments, cwd=cwd)
    interpreter = [] if script.endswith('.sh') else [sys.executable]
    path = f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
    return subprocess.run(
        [*interpreter, script, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'PATH': path, **(env or {})},
    )


def run_forked(
    script: str, *arguments: str, cwd: Path | None = None
) -> subprocess.CompletedProcess:
    """Run a tool of ours in a fork of this process."""
    with tempfile.TemporaryFile('w+') as out, tempfile.TemporaryFile('w+') as err:

        def tool() -> None:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            sys.stdout = open(1, 'w', closefd=False)  # noqa: SIM115
            sys.stderr = open(2, 'w', closefd=False)  # noqa: SIM115
            if cwd:
                os.chdir(cwd)
            try:
                run_script(script, *arguments)
            finally:
                sys.stdout.flush()

        process = multiprocessing.get_context('fork').Process(target=tool)
        process.start()
        process.join()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(
            script, process.exitcode, out.read(), err.read()
        )


def run_script(script: str, *arguments: str) -> None:
    """Run a tool as the main program of a fork."""
    # mmengine has one log and one visualizer per name and second: not those of a run of
    # the test itself.
    for kind in (MMLogger, MessageHub, Visualizer):
        kind._instance_dict.clear()
    sys.argv = [script, *arguments]
    runpy.run_path(script, run_name='__main__')


@contextmanager
def forked_jobs() -> Iterator[None]:
    """Let the jobs of a tool be forks, where all is imported, in a block.

    Tests that are marked slow, and those of the executor, have processes of their own.
    """
    start = local_executor._start

    def start_fork(running, step):
        return start(running, step if callable(step) else partial(run_script, *step))

    with patch.object(local_executor, '_start', start_fork):
        yield


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
