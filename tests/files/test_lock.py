import multiprocessing
import subprocess
import sys

import pytest

from mmimbal.files.lock import (
    InUseError,
    is_locked,
    is_work_dir_in_use,
    locked,
    locked_work_dir,
)


def _count(folder):
    for _ in range(200):
        with locked(folder / 'shared'):
            number = int((folder / 'number').read_text())
            (folder / 'number').write_text(str(number + 1))


def test_one_process_at_a_time(tmp_path):
    (tmp_path / 'number').write_text('0')
    context = multiprocessing.get_context('fork')
    processes = [context.Process(target=_count, args=(tmp_path,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert (tmp_path / 'number').read_text() == '800'


def test_to_ask_writes_nothing(tmp_path):
    assert not is_work_dir_in_use(tmp_path / 'run')
    assert not is_locked(tmp_path / 'results' / 'run')
    assert list(tmp_path.iterdir()) == []


HOLDER = """
import sys
from pathlib import Path
from mmimbal.files.lock import locked_work_dir
with locked_work_dir(Path(sys.argv[1])):
    print('held', flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize('ends', ['killed', 'by itself'])
def test_a_work_dir_is_of_one_run_until_it_ends(tmp_path, ends):
    command = [sys.executable, '-c', HOLDER, tmp_path]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout.readline() == 'held\n'
        with pytest.raises(InUseError, match=r'another run trains in .*--work-dir'):
            locked_work_dir(tmp_path).__enter__()
        assert is_work_dir_in_use(tmp_path)
        holder.kill() if ends == 'killed' else holder.stdin.close()
        holder.wait()
    assert not is_work_dir_in_use(tmp_path)
    with locked_work_dir(tmp_path):
        pass


def test_a_program_that_was_started_holds_no_lock(tmp_path):
    with locked(tmp_path / 'x'):
        command = [sys.executable, '-c', 'import sys; sys.stdin.read()']
        child = subprocess.Popen(command, stdin=subprocess.PIPE)
    with locked(tmp_path / 'x', wait=False):
        pass
    child.communicate()
