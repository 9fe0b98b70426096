"""A data set to compare methods on: found, described, and given folds."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from mmimbal.datasets import CSVDataset
from mmimbal.datasets.splits import check_groups
from mmimbal.experiments.own_data import describe_data, find_data, with_folds
from tests.conftest import write_index


@pytest.fixture
def data(tmp_path, monkeypatch):
    """data/cells: 40 images of two classes, two images of each patient."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('MMIMBAL_DATA', raising=False)
    rows = [
        {
            'file': f'images/{n}.png',
            'label': 'ab'[n % 4 // 2],
            'group': f'p{n // 2}',
            'split': 'train' if n < 30 else 'val' if n < 34 else 'test',
        }
        for n in range(40)
    ]
    folder = write_index(tmp_path / 'data' / 'cells', rows)
    described = dict(classes=['a', 'b'], split='70/10/20, made here')
    (folder / 'dataset.json').write_text(json.dumps(described))
    return folder


def rows_of(folder):
    with open(folder / 'index.csv', newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def test_it_is_found_by_its_name_or_its_folder(data, tmp_path, monkeypatch):
    assert find_data('cells') == find_data('data/cells') == data.relative_to(tmp_path)
    data.parent.rename(tmp_path / 'other')
    assert find_data('other/cells') == Path('other/cells')
    monkeypatch.setenv('MMIMBAL_DATA', str(tmp_path / 'other'))
    assert find_data('cells') == tmp_path / 'other' / 'cells'


@pytest.mark.parametrize(
    ('name', 'advice'),
    [
        ('data/cell', '--src IMAGES --out data/cell'),
        ('other/my cells', "--src IMAGES --out 'other/my cells'"),
        ('cell', '--src IMAGES --out data/cell'),
        ('data', '--src data --out data/own'),
    ],
)
def test_what_is_not_prepared_is_explained(data, name, advice):
    with pytest.raises(FileNotFoundError, match=f'no prepared data set.*{advice}'):
        find_data(name)


def test_an_index_without_classes_is_prepared_as_csv(data):
    (data / 'dataset.json').unlink()
    with pytest.raises(FileNotFoundError, match='csv --src data/cells --out data/own'):
        find_data('data/cells')


def test_the_name_of_a_public_set_is_for_its_classes(data):
    other = data.rename(data.with_name('rbc12'))
    with pytest.raises(ValueError, match='has 2 classes, but rbc12 is the name of a'):
        describe_data(other)


def test_too_many_folds_leave_nothing_behind(data, tmp_path):
    with pytest.raises(ValueError, match='no image is in val by its column fold'):
        with_folds(data, tmp_path / 'made', folds=15)
    assert not (tmp_path / 'made').exists()


def test_what_is_known_of_it(data):
    found = describe_data(data)
    assert (found.folds, found.images, found.groups) == ([None], 40, 20)
    assert found.classes == ('a', 'b') and not found.is_official
    assert {split: counts.tolist() for split, counts in found.counts.items()} == {
        'train': [16, 14],
        'val': [2, 2],
        'test': [2, 4],
    }


def rewrite(folder, change):
    """Change each row of an index."""
    rows = rows_of(folder)
    for number, row in enumerate(rows):
        change(number, row)
    lines = [','.join(rows[0]), *(','.join(row.values()) for row in rows)]
    (folder / 'index.csv').write_text('\n'.join(lines))


@pytest.mark.parametrize('prefix', ['', 'images/'])
def test_names_of_images_are_no_groups(data, prefix):
    rewrite(data, lambda n, row: row.update(group=f'{prefix}{n}.png'))
    assert describe_data(data).groups is None


def test_patients_of_one_image_each_are_groups(data):
    rewrite(data, lambda n, row: row.update(group=f'patient {n}' if n else ''))
    assert describe_data(data).groups == 40


def test_folds_test_on_other_images_or_all_on_the_same(data):
    split = ['test'] * 4 + ['val'] * 4 + ['train'] * 32

    def folds(shift):
        def change(n, row):
            row.update(fold0=split[n], fold1=split[(n + shift) % 40])

        return change

    for shift in (0, 20):  # all, none
        rewrite(data, folds(shift))
        assert describe_data(data).folds == [0, 1]
    rewrite(data, folds(2))
    with pytest.raises(ValueError, match='in the test of several folds, but not of al'):
        describe_data(data)


def test_the_split_of_a_download_is_kept(data):
    described = dict(classes=['a', 'b'], split='of the download; val is new')
    (data / 'dataset.json').write_text(json.dumps(described))
    assert describe_data(data).is_official


def test_folds_are_made_beside_the_data_set_which_stays_as_it_is(data, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in data.rglob('*')}
    made = with_folds(data, tmp_path / 'work', folds=3)
    assert made == tmp_path / 'work' / 'cells'
    assert {path: path.stat().st_mtime_ns for path in data.rglob('*')} == before
    rows = rows_of(made)
    tested = np.zeros(len(rows), int)
    for fold in range(3):
        splits = [row[f'fold{fold}'] for row in rows]
        check_groups([row['group'] for row in rows], splits)
        tested += np.array(splits) == 'test'
        dataset = CSVDataset(str(made), 'test', f'fold{fold}', test_mode=True)
        assert dataset.get_data_info(0)['img_path'].startswith(str(made / 'images'))
    assert (tested == 1).all()
    assert describe_data(made).folds == [0, 1, 2]
    stamp = (made / 'index.csv').stat().st_mtime_ns
    assert with_folds(data, tmp_path / 'work', folds=3) == made  # is kept
    assert (made / 'index.csv').stat().st_mtime_ns == stamp


def test_folds_of_something_else_are_not_used_again(data, tmp_path):
    with_folds(data, tmp_path / 'work', folds=3)
    with pytest.raises(ValueError, match='another number of folds: remove'):
        with_folds(data, tmp_path / 'work', folds=5)
    index = data / 'index.csv'
    index.write_text(index.read_text().replace('p19', 'p18'))
    with pytest.raises(ValueError, match=r'folds of another index\.csv'):
        with_folds(data, tmp_path / 'work', folds=3)
    (tmp_path / 'work/cells/made_from.json').unlink()  # of an earlier version
    with pytest.raises(ValueError, match=r'folds of another index\.csv'):
        with_folds(data, tmp_path / 'work', folds=3)


def test_copies_of_an_image_are_in_one_split_of_each_fold(data, tmp_path):
    images = sorted((data / 'images').iterdir())
    for image in images[1:20:2]:
        image.write_bytes(images[0].read_bytes())
    copies = {f'images/{image.name}' for image in (images[0], *images[1:20:2])}
    rows = rows_of(with_folds(data, tmp_path / 'work', folds=3))
    for fold in range(3):
        assert len({r[f'fold{fold}'] for r in rows if r['file'] in copies}) == 1


def test_empty_files_are_no_copies_of_each_other(data, tmp_path):
    empty = sorted((data / 'images').iterdir())[:20]
    for image in empty:
        image.write_bytes(b'')
    names = {f'images/{image.name}' for image in empty}
    rows = rows_of(with_folds(data, tmp_path / 'work', folds=3))
    assert len({row['fold0'] for row in rows if row['file'] in names}) > 1


@pytest.mark.parametrize('missing', ['val', 'test'])
def test_a_split_without_test_or_validation_is_refused(data, missing):
    index = data / 'index.csv'
    index.write_text(index.read_text().replace(f',{missing}', ',train'))
    assert describe_data(data).folds == [None]  # it will give way to folds
    described = dict(classes=['a', 'b'], split='of the download')
    (data / 'dataset.json').write_text(json.dumps(described))
    with pytest.raises(ValueError, match=f'no image is in {missing} by its column'):
        describe_data(data)


def test_an_index_without_a_split_gets_folds(data, tmp_path):
    rows = [{k: v for k, v in row.items() if k != 'split'} for row in rows_of(data)]
    with open(data / 'index.csv', 'w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    assert describe_data(data).folds == [None]
    folder = with_folds(data, tmp_path / 'out', 3)
    assert describe_data(folder).folds == [0, 1, 2]


def test_a_split_of_the_download_that_was_renamed(tmp_path):
    rows = [{'file': f'{n}.png', 'label': 'ab'[n % 2], 'old': ''} for n in range(4)]
    folder = write_index(tmp_path / 'cells', rows)
    about = dict(classes=['a', 'b'], split='of the download')
    (folder / 'dataset.json').write_text(json.dumps(about))
    with pytest.raises(ValueError, match=r'index\.csv has no column split'):
        describe_data(folder)
