import os
import signal

import pytest
from torch._utils import ExceptionWrapper

from mmimbal.command_line.failures import ToolFailedError
from mmimbal.command_line.run_tool import run_tool
from mmimbal.files.errors import ImageFileError
from tests.tools import explain


def code_of(main, monkeypatch, **options):
    monkeypatch.setattr('sys.argv', ['tools/report.py'])
    with pytest.raises(SystemExit) as stopped:
        run_tool(main, **options)
    return stopped.value.code


@pytest.mark.parametrize('error', [OSError, ValueError, ImportError, ToolFailedError])
def test_a_mistake_is_a_message_with_the_name_of_the_tool(error, monkeypatch):
    def main():
        raise error('no such file')

    assert code_of(main, monkeypatch) == 'report: no such file'


@pytest.mark.parametrize('in_a_worker', [False, True])
def test_an_image_that_cannot_be_read_is_named(in_a_worker, monkeypatch):
    def main():
        try:
            raise ImageFileError('x.png cannot be loaded: FileNotFoundError: none')
        except ImageFileError:
            if in_a_worker:  # as a loader repeats it, with the worker's traceback
                ExceptionWrapper(where='in worker 0').reraise()
            raise

    sentence = 'report: x.png cannot be loaded: FileNotFoundError: none'
    assert code_of(main, monkeypatch) == sentence


def test_a_fault_of_ours_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run_tool(lambda: 1 / 0)


@pytest.mark.parametrize('goes_on', [True, False])
def test_stopped_by_the_user(goes_on, monkeypatch):
    def main():
        raise KeyboardInterrupt

    code = code_of(main, monkeypatch, goes_on=goes_on)
    assert ('run the same command again' in code) == goes_on
    assert 'Stopped' in code


def test_stopped_by_a_scheduler(monkeypatch, capfd):
    def main():
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()

    assert code_of(main, monkeypatch, goes_on=True) == 143
    assert 'run the same command again' in capfd.readouterr().out


@pytest.mark.parametrize('tool', ['train', 'test'])
def test_training_and_testing_are_stopped_by_the_user(tool, monkeypatch):
    """Also while they are read and imported."""

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr('argparse.ArgumentParser.parse_args', stop)
    message = explain(tool)
    assert message.strip().startswith('Stopped')
    assert ('--resume' in message) == (tool == 'train')
