import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mmimbal.whole_files import alone, whole


def test_a_file_is_there_once_it_is_whole(tmp_path):
    path = tmp_path / 'kept'
    with whole(path) as unfinished:
        unfinished.write_text('half')
        assert not path.exists()
        unfinished.write_text('whole')
    assert path.read_text() == 'whole'
    assert [file.name for file in tmp_path.iterdir()] == ['kept']


@pytest.mark.parametrize('folder', [False, True])
def test_what_was_there_stays_if_writing_fails(tmp_path, folder):
    path = tmp_path / 'kept'
    path.write_text('before')
    with pytest.raises(OSError, match=r'full.*/kept'), whole(path) as unfinished:
        if folder:
            unfinished.mkdir()
            unfinished /= 'part'
        unfinished.write_text('half')
        raise OSError(28, 'full')
    assert path.read_text() == 'before'
    assert [file.name for file in tmp_path.iterdir()] == ['kept']


def test_a_folder_is_replaced(tmp_path):
    path = tmp_path / 'kept'
    for text in ('before', 'after'):
        with whole(path) as unfinished:
            unfinished.mkdir()
            (unfinished / text).write_text(text)
    assert [file.name for file in path.iterdir()] == ['after']


def _count(folder):
    for _ in range(200):
        with alone(folder / 'shared'):
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


def test_threads_do_not_write_under_one_name(tmp_path):
    file, both = tmp_path / 'file', threading.Barrier(2)

    def write(text):
        with whole(file) as unfinished:
            unfinished.write_text(text)
            both.wait()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, ['one', 'two']))
    assert file.read_text() in ('one', 'two')
