import pytest

from mmimbal.command_line.failures import ToolFailedError, raise_if_failed

BEFORE = 'KeyError: of an earlier try\n'
TRACEBACK = """11/25 12:00:00 - mmengine - INFO - Epoch: 1
/somewhere/x.py:33: UserWarning: unlikely
Traceback (most recent call last):
  File "tools/train.py", line 1, in <module>
FileExistsError: it contains a run with another config:
-lr = 0.1
+lr = 0.2
"""


@pytest.mark.parametrize(
    ('code', 'said', 'message'),
    [
        (1, TRACEBACK, 'FileExistsError: it contains a run with another config:'),
        (1, TRACEBACK + 'stage2_sweep: no head\n', 'stage2_sweep: no head'),
        (1, 'torch.OutOfMemoryError: x\n  y\n', 'torch.OutOfMemoryError: x'),
        (1, 'Heads: 100%|#| 6/6\nTraceback\nAssertionError\n', 'AssertionError'),
        (2, 'usage\nsomething', 'something'),
        (1, '', 'no output'),
        (-9, TRACEBACK, 'ended by SIGKILL'),
    ],
)
def test_the_line_that_says_why(tmp_path, code, said, message):
    log = tmp_path / 'log.txt'
    log.write_text(BEFORE + said)
    with pytest.raises(ToolFailedError) as error:
        raise_if_failed(code, log, len(BEFORE))
    assert str(error.value) == f'{message} (see {log})'


def test_a_tool_that_ends_well(tmp_path):
    raise_if_failed(0, tmp_path / 'no log', 0)
