import os
import signal

import pytest

from mmimbal.command_line import sigterm
from mmimbal.command_line.sigterm import exit_on_sigterm, explain_dead_workers


class Swallows:
    """What a finalizer raises is lost."""

    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(10):  # the handler runs between two of these
            pass


@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')
@pytest.mark.parametrize('swallowed', [False, True])
def test_an_exit_that_was_swallowed_comes_again(swallowed, monkeypatch, capfd):
    monkeypatch.setattr(sigterm, 'REPEAT', 0.05)
    before = signal.getsignal(signal.SIGTERM)
    lost = []
    with pytest.raises(SystemExit) as stopped, exit_on_sigterm('go on'):
        if swallowed:
            Swallows()
            lost.append('the first')
        else:
            os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(10**8):  # some seconds, unless the exit comes
            pass
    assert stopped.value.code == 143
    assert lost == (['the first'] if swallowed else [])
    assert capfd.readouterr().out.count('Stopped by SIGTERM: go on') == 1
    assert signal.getsignal(signal.SIGTERM) == before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_a_lost_connection_is_explained():
    """What torch says if a worker dies while it hands over a batch."""
    with (
        pytest.raises(RuntimeError, match=r'loader worker died .*num_workers'),
        explain_dead_workers(),
    ):
        raise ConnectionResetError(104, 'Connection reset by peer')
