"""tools/check_dataset.py where its report cannot be stored."""

import errno
import json

import pytest

from mmimbal.datasets.checking.check_result import read_check_result
from tests.conftest import rows_of, write_index
from tests.tools import explain


@pytest.fixture
def folder(tmp_path):
    rows = rows_of(['a', 'b'], {'train': 12, 'val': 12, 'test': 12})
    return write_index(tmp_path / 'set', rows, size=48)


@pytest.fixture
def read_only(folder, monkeypatch):
    """Return the folder as if on a file system that is read-only."""

    def refuse(*args, dir=None, **kwargs):
        raise OSError(errno.EROFS, 'Read-only file system', str(dir or folder))

    monkeypatch.setattr('tempfile.TemporaryFile', refuse)
    monkeypatch.setattr('mmimbal.files.json_file.write_text', refuse)
    return folder


def contents(folder):
    return sorted(path for path in folder.rglob('*'))


def test_the_report_is_printed_all_the_same(read_only, capsys, monkeypatch):
    before = contents(read_only)
    assert explain('check_dataset', read_only) is None
    first, *_, last = capsys.readouterr().out.strip().splitlines()
    assert first.startswith(f'{read_only} cannot be written: --out FOLDER')
    assert last.startswith('Not stored (') and 'Read-only file system' in last
    assert 'warns that the data set was not checked' in last
    assert read_check_result(read_only / 'index.csv', 'split') == 'unchecked'
    assert contents(read_only) == before


def test_errors_are_printed_and_remain_errors(read_only, capsys):
    (read_only / 'images/train_a_3.png').write_bytes(b'')
    assert explain('check_dataset', read_only) == 1
    said = capsys.readouterr().out
    assert 'images/train_a_3.png (the file is empty)' in said and 'Not stored' in said


def test_it_is_said_before_the_work(read_only, capsys, monkeypatch):
    def work(*args):
        raise ValueError(f'said before: {capsys.readouterr().out}')

    monkeypatch.setattr('mmimbal.datasets.checking.check.check_dataset', work)
    assert 'said before: /' in explain('check_dataset', read_only)


def test_another_folder_for_the_report(folder, tmp_path, capsys):
    before = contents(folder)
    out = tmp_path / 'deep' / 'reports'
    assert explain('check_dataset', folder, '--out', out) is None
    assert json.loads((out / 'check.json').read_text())['images'] == 72
    assert (out / 'class_counts.png').stat().st_size > 5000
    assert contents(folder) == before
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f'Written: {out}/check.json and {out}/class_counts.png'
    assert f'{folder}/index.csv is a file' in explain(
        'check_dataset', folder, '--out', folder / 'index.csv'
    )


def test_another_folder_that_cannot_be_written(read_only, tmp_path, monkeypatch):
    monkeypatch.setattr('mmimbal.datasets.checking.check.check_dataset', None)
    out = tmp_path / 'reports'
    message = explain('check_dataset', read_only, '--out', out)
    assert 'Read-only file system' in message and str(out) in message
