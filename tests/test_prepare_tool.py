"""tools/prepare_dataset.py says what it takes, from where, and what it is unsure of."""

import os
import shutil
import signal

import numpy as np
import pytest

from tests.conftest import write_index
from tests.tools import explain, succeed

TOOL = 'tools/prepare_dataset.py'


@pytest.fixture
def download(tmp_path):
    """Usual folders of two splits, with masks; no validation images."""
    rows = [
        {'file': f'{split}/{label}/{number}.png'}
        for split in ('Training', 'Testing')
        for label in ('benign', 'malignant')
        for number in range(12)
    ]
    rows += [{'file': f'Training/benign/{number}_mask.png'} for number in range(12)]
    folder = write_index(tmp_path / 'src', rows)
    (folder / 'index.csv').unlink()
    return folder


def cells(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_a_dry_run_shows_what_would_be_written(download, tmp_path):
    command = (TOOL, 'folders', '--src', download, '--out', tmp_path / 'out')
    shown = succeed(*command, '--dry-run')
    assert not (tmp_path / 'out').exists() and 'Nothing was written' in shown
    table = cells(shown)
    assert ['Training/benign', 'train', 'benign', '12'] in table
    assert ['Testing/malignant', 'test', 'malignant', '12'] in table
    assert 'Left out: 12 masks, the first is Training/benign/0_mask.png' in shown
    assert 'taken as splits: Testing as test, Training as train' in shown
    assert 'no validation images: 2 images of train are val now' in shown
    assert ['val', '1', '1', '2'] in table
    written = succeed(*command)
    same = len(shown.splitlines()) - 1
    assert written.splitlines()[:same] == shown.splitlines()[:same]
    assert len(list((tmp_path / 'out').rglob('*.png'))) == 48


def test_nothing_is_said_to_move_where_nothing_can(tmp_path):
    """Classes of two groups give no validation images."""
    rows = [
        {'file': f'{split}/{label}/{number}.png'}
        for split in ('train', 'test')
        for label in 'ab'
        for number in range(2)
    ]
    folder = write_index(tmp_path / 'src', rows)
    (folder / 'index.csv').unlink()
    out = tmp_path / 'out'
    shown = succeed(TOOL, 'folders', '--src', folder, '--out', out)
    assert 'are val now' not in shown and 'there are no validation images' in shown
    assert 'val is a part' not in (out / 'dataset.json').read_text()


def test_classes_of_few_groups_are_said(tmp_path):
    labels = ['common'] * 40 + ['rare'] * 6 + ['one'] * 3
    groups = [str(n) for n in range(40)] + ['r0', 'r1', 'r2'] * 2 + ['p'] * 3
    rows = [
        {'file': f'{n}.png', 'label': label, 'group': group}
        for n, (label, group) in enumerate(zip(labels, groups, strict=True))
    ]
    source = write_index(tmp_path / 'src', rows)
    shown = succeed(TOOL, 'csv', '--src', source, '--out', tmp_path / 'out')
    assert (
        'Warning: rare has 3 groups: its 6 images are split 4/0/2, far from 70/10/20'
    ) in shown
    assert 'Warning: one has 1 group: its 3 images are in train' in shown
    assert 'common has' not in shown


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['csv', '--class-folders'], 'are for folders'),
        (['folders', '--split-folders', 'x=holdout'], '--split-folders x: expected'),
        (['folders', '--split-folders', 'a'], '--split-folders a: expected NAME=train'),
        (
            ['folders', '--split-folders', 'a=train', '--class-folders'],
            'give only one of --split-folders, --class-folders',
        ),
        (['folders', '--link', '--range', '0', '9'], '--link needs'),
        (['folders', '--zip-encoding', 'gbk'], '--zip-encoding is for a zip file'),
        (['folders', '--range', '9', '0'], 'the range is 9 to 0'),
    ],
)
def test_flags_that_cannot_be_used_are_refused(download, tmp_path, options, message):
    name, *flags = options
    out = tmp_path / 'out'
    assert message in explain(
        'prepare_dataset', name, '--src', download, '--out', out, *flags
    )
    assert not out.exists()


def test_the_table_stays_short(tmp_path):
    rows = [
        {'file': f'{label}/{patient}/{n}.png'}
        for label in 'ab'
        for patient in range(30)
        for n in range(2)
    ]
    folder = write_index(tmp_path / 'src', rows)
    (folder / 'index.csv').unlink()
    shown = succeed(TOOL, 'folders', '--src', folder, '--out', tmp_path / 'out')
    assert ['a', '-', 'a', '60'] in cells(shown)
    assert np.array([line[0] == 'a' for line in cells(shown) if line]).sum() == 1


@pytest.mark.parametrize(
    ('out', 'message'),
    [
        ('src/out', 'is inside of --src'),
        ("it's", "cannot name a folder with '"),
        ('digits_lt', 'means the digits of scikit-learn'),
    ],
)
def test_a_folder_that_makes_trouble_later_is_refused(download, out, message):
    target = download.parent / out
    said = explain(
        'prepare_dataset', 'folders', '--src', download, '--out', target, '--dry-run'
    )
    assert message in said and not target.exists()


def test_a_stopped_run_leaves_nothing_and_says_so(
    download, tmp_path, monkeypatch, capfd
):
    def stop(*_) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr('shutil.copyfile', stop)
    out = tmp_path / 'made' / 'out'
    assert explain('prepare_dataset', 'folders', '--src', download, '--out', out) == 143
    assert 'SIGTERM: nothing was written' in capfd.readouterr().out
    assert list(out.parent.iterdir()) == []


def test_what_a_killed_run_has_unpacked_is_removed_by_the_next(download, tmp_path):
    archive = shutil.make_archive(str(tmp_path / 'images'), 'zip', download)
    out = tmp_path / 'made' / 'out'
    left = out.with_name('.unpacked-out.1-1.unfinished')
    left.mkdir(parents=True)
    succeed(TOOL, 'folders', '--src', archive, '--out', out)
    assert [path.name for path in out.parent.iterdir()] == ['out']


def test_an_archive_is_not_unpacked_for_flags_of_folders(download, tmp_path):
    archive = shutil.make_archive(str(tmp_path / 'images'), 'zip', download)
    os.truncate(archive, 9)
    flags = ('--src', archive, '--out', tmp_path / 'out', '--link')
    assert '--link needs' in explain('prepare_dataset', 'folders', *flags)
