"""No tool deletes or replaces what it did not make."""

import pytest

from tests.conftest import CONFIGS, rows_of, write_index
from tests.tools import explain

LEAF = 'configs/digits_lt/stage1_ce.py'


def contents(folder):
    return {file: file.is_file() and file.read_bytes() for file in folder.rglob('*')}


def refusal_of(tool, *arguments, capsys) -> str:
    """Return what a tool says when it fails."""
    try:
        code = explain(tool, *arguments)
    except OSError as error:
        return str(error)
    assert code
    return f'{code} {capsys.readouterr().err}'


@pytest.fixture
def taken(tmp_path):
    """Return a folder with folders where files are meant, and files for folders."""
    for name in ('folder', 'x.json', 'x.npz', 'x.pth', 'y.py', 'full'):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'mine').write_text('kept')
    (tmp_path / 'file').write_text('kept')
    return tmp_path


@pytest.mark.parametrize(
    ('output', 'tool', 'arguments'),
    [
        ('folder', 'report', ['none.npz', '--out', 'folder']),
        ('x.json', 'test', [LEAF, 'none.pth', '--out', 'x.json']),
        ('x.npz', 'test', [LEAF, 'none.pth', '--out', 'x.npz']),
        ('file', 'test', [LEAF, 'none.pth', '--work-dir', 'file']),
        ('file', 'train', [LEAF, '--work-dir', 'file']),
        ('file', 'train', [LEAF, '--work-dir', 'file/below']),
        ('x.pth', 'publish', ['none.pth', 'x.pth']),
        ('y.py', 'publish', ['none.pth', 'y.pth']),
        ('folder', 'benchmark', ['GRID', '--page', 'folder']),
        ('file', 'benchmark', ['GRID', '--results', 'file', '--page', 'p.md']),
        ('file', 'benchmark', ['GRID', '--work-dir', 'file', '--page', 'p.md']),
        ('file', 'cross_validate', [LEAF, '--work-dir', 'file']),
        ('file', 'demo', ['--work-dir', 'file']),
        ('file', 'prepare_dataset', ['csv', '--src', 'set', '--out', 'file']),
        ('full', 'prepare_dataset', ['csv', '--src', 'set', '--out', 'full']),
        ('class_counts.png', 'check_dataset', ['set']),
        ('check.json', 'check_dataset', ['set']),
    ],
)
def test_an_output_that_is_taken_is_refused(taken, output, tool, arguments, capsys):
    """By a folder where a file is meant, or the reverse."""
    write_index(taken / 'set', rows_of(['a', 'b'], {'train': 2}))
    if tool == 'check_dataset':
        (taken / 'set' / output / 'mine').mkdir(parents=True)
    before = contents(taken)
    command = [
        str(taken / text) if (taken / text.split('/')[0]).exists() else text
        for text in arguments
    ]
    command = [text.replace('p.md', f'{taken}/p.md') for text in command]
    command = [
        f'{taken}/{text}' if text.endswith('y.pth') else text for text in command
    ]
    assert f'/{output}' in refusal_of(tool, *command, capsys=capsys)
    assert contents(taken) == before


def test_a_sweep_needs_a_folder(taken):
    """After stage 1 was found, before anything of it is read."""
    (taken / 'stage1.pth').touch()
    flags = (taken / 'stage1.pth', '--work-dir', taken / 'file')
    assert f'{taken}/file is a file' in explain('stage2_sweep', *flags)
    assert (taken / 'file').read_text() == 'kept'


@pytest.mark.parametrize(
    ('tool', 'file'),
    [
        ('methods', 'methods.md'),
        ('benchmark', 'results.md'),
        ('benchmark', 'results/study.md'),
    ],
)
def test_a_page_of_a_user_is_not_replaced(tool, file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = tmp_path / 'docs' / file
    page.parent.mkdir(parents=True)
    page.write_text('mine')
    grid = [CONFIGS / 'grids/study.py', '--page-only'] if tool == 'benchmark' else []
    message = explain(tool, *grid)
    assert f'{file} is not a page that this tool has written' in message
    assert page.read_text() == 'mine'
