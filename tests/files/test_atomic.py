import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mmimbal.files.atomic import (
    atomic_folder,
    atomic_write,
    check_is_no_file,
    remove_leftovers,
    scratch_folder,
    write_text,
)


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def test_a_file_is_there_once_it_is_whole(tmp_path):
    path = tmp_path / 'kept'
    with atomic_write(path) as unfinished:
        unfinished.write_text('half')
        assert not path.exists()
        unfinished.write_text('whole')
    assert path.read_text() == 'whole'
    assert names(tmp_path) == ['kept']


def test_what_was_there_stays_if_writing_fails(tmp_path):
    path = tmp_path / 'kept'
    path.write_text('before')
    with pytest.raises(OSError, match=r'full.*/kept'), atomic_write(path) as unfinished:
        unfinished.write_text('half')
        raise OSError(28, 'full')
    assert path.read_text() == 'before'
    assert names(tmp_path) == ['kept']


def test_a_folder_is_there_once_it_is_whole(tmp_path):
    path = tmp_path / 'kept'
    with pytest.raises(OSError, match='full'), atomic_folder(path) as unfinished:
        (unfinished / 'half').touch()
        raise OSError(28, 'full')
    assert names(tmp_path) == []
    with atomic_folder(path) as unfinished:
        (unfinished / 'inner').mkdir()
        (unfinished / 'inner' / 'file').write_text('whole')
        assert not path.exists()
    assert names(path) == ['inner'] and names(tmp_path) == ['kept']


@pytest.mark.parametrize('is_far', [False, True])
def test_a_link_to_an_empty_folder_is_filled(tmp_path, is_far):
    """On the disk of its target, which may be another one."""
    target = tmp_path / ('disk/big' if is_far else 'big')
    target.mkdir(parents=True)
    path = tmp_path / 'link'
    path.symlink_to(target)
    with atomic_folder(path) as unfinished:
        assert unfinished.parent == target.parent
        (unfinished / 'file').write_text('whole')
    assert path.is_symlink() and names(target) == ['file']
    assert names(target.parent) == sorted({'big', *([] if is_far else ['link'])})


def test_what_somebody_else_made_is_not_replaced(tmp_path):
    """A folder where a file is meant, and the reverse."""
    folder, file = tmp_path / 'folder', tmp_path / 'file'
    folder.mkdir()
    (folder / 'mine').write_text('kept')
    file.write_text('kept')
    with pytest.raises(IsADirectoryError, match='folder is a folder'):
        write_text('new', folder)
    with pytest.raises(FileExistsError, match='not empty'), atomic_folder(folder):
        pass
    for path in (file, file / 'below' / 'it'):
        with pytest.raises(NotADirectoryError, match='file is a file'):
            check_is_no_file(path)
        with pytest.raises(NotADirectoryError), atomic_folder(path):
            pass
    assert (folder / 'mine').read_text() == file.read_text() == 'kept'
    assert names(tmp_path) == ['file', 'folder']


@pytest.mark.parametrize('mode', [0o600, 0o644, 0o664, 0o755])
def test_a_file_keeps_its_mode(tmp_path, mode):
    path = tmp_path / 'kept'
    path.touch()
    path.chmod(mode)
    write_text('new', path)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_new_file_has_the_usual_mode(tmp_path):
    write_text('ours', tmp_path / 'ours')
    (tmp_path / 'plain').write_text('plain')
    assert (tmp_path / 'ours').stat().st_mode == (tmp_path / 'plain').stat().st_mode


@pytest.mark.parametrize('is_there', [True, False])
def test_a_link_keeps_its_target(tmp_path, is_there):
    (tmp_path / 'elsewhere').mkdir()
    target, link = tmp_path / 'elsewhere' / 'target', tmp_path / 'link'
    if is_there:
        target.write_text('before')
    link.symlink_to(target)
    write_text('after', link)
    assert link.is_symlink() and target.read_text() == 'after'
    assert names(target.parent) == ['target']


def test_devices_and_pipes_stay_what_they_are(tmp_path):
    pipe = tmp_path / 'pipe'
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(pipe.read_text)
        write_text('through', pipe)
        assert read.result() == 'through'
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    (tmp_path / 'null').symlink_to('/dev/null')
    write_text('gone', tmp_path / 'null')
    assert not os.path.isfile('/dev/null')


KILLED = """
import os, signal, sys
from pathlib import Path
from mmimbal.files.atomic import atomic_folder, atomic_write
path = Path(sys.argv[1])
with (atomic_folder if path.name == 'folder' else atomic_write)(path) as unfinished:
    (unfinished / 'x' if unfinished.is_dir() else unfinished).write_text('half')
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize('name', ['file', 'folder', 'é' * 120])
def test_the_next_writer_clears_what_a_killed_one_has_left(tmp_path, name):
    path = tmp_path / name
    killed = subprocess.run([sys.executable, '-c', KILLED, path])
    assert killed.returncode == -9 and len(names(tmp_path)) == 1
    (tmp_path / 'another.1-1.unfinished').touch()  # of another file
    if name == 'folder':
        with atomic_folder(path):
            pass
    else:
        write_text('whole', path)
    assert names(tmp_path) == sorted(['another.1-1.unfinished', name])


def test_writers_of_one_file_leave_each_other_alone(tmp_path):
    file, both = tmp_path / 'file', threading.Barrier(2)

    def write(text):
        with atomic_write(file) as unfinished:
            unfinished.write_text(text)
            both.wait()
        return text

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, ['one', 'two']))
    assert file.read_text() in ('one', 'two')
    assert names(tmp_path) == ['file']


def test_a_folder_that_another_process_has_written_meanwhile(tmp_path):
    with (
        pytest.raises(FileExistsError, match='exists already and is not empty'),
        atomic_folder(tmp_path / 'set') as unfinished,
    ):
        (unfinished / 'a').write_text('')
        (tmp_path / 'set').mkdir()
        (tmp_path / 'set' / 'b').write_text('')
    assert [file.name for file in tmp_path.rglob('*')] == ['set', 'b']


def test_only_what_a_writer_has_left_is_removed(tmp_path):
    """A user's own names may end in the same way."""
    own = [
        'kept.v2.unfinished',
        'kept.unfinished',
        'kept.1.unfinished',
        'my.unfinished',
    ]
    for name in own:
        (tmp_path / name).mkdir()
    (tmp_path / 'kept.12-34.unfinished').touch()
    write_text('whole', tmp_path / 'kept')
    (tmp_path / 'other.12-34.unfinished').touch()
    remove_leftovers(tmp_path)
    assert names(tmp_path) == sorted([*own, 'kept'])


def test_a_scratch_folder_goes_at_the_end_also_of_a_killed_process(tmp_path):
    left = tmp_path / 'kept.1-1.unfinished'
    left.mkdir()
    with scratch_folder(tmp_path / 'kept') as folder:
        (folder / 'file').touch()
        assert folder.parent == tmp_path and not left.exists()
    assert names(tmp_path) == []


def test_a_private_file_is_private_from_the_start(tmp_path):
    path = tmp_path / 'kept'
    path.touch(mode=0o600)
    with atomic_write(path) as unfinished:
        assert stat.S_IMODE(unfinished.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_nobody_may_write_is_written_before_it_is_so(tmp_path):
    path = tmp_path / 'kept'
    path.touch(mode=0o444)
    with atomic_write(path) as unfinished:
        assert unfinished.stat().st_mode & stat.S_IWUSR
        unfinished.write_text('whole')
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert path.read_text() == 'whole'
