import csv
import json
import os

import numpy as np
import pytest
from PIL import Image

from mmimbal.datasets.checking import duplicates, image_facts
from mmimbal.datasets.checking.check import _straddling, check_dataset
from mmimbal.datasets.checking.duplicates import near_pairs
from tests.conftest import ROOT, rows_of, write_index


def kinds(folder, **options):
    """Return what a check finds: level and examples by what."""
    report = check_dataset(folder, processes=1, **options)
    return {f['what']: (f['level'], f['examples']) for f in report['findings']}


@pytest.fixture
def sound(tmp_path):
    """Return a data set without a fault: 12 images of each class in each split."""
    rows = rows_of(['a', 'b'], {'train': 12, 'val': 12, 'test': 12})
    return write_index(tmp_path / 'set', rows, size=48)


def image(folder, name):
    return folder / 'images' / f'{name}.png'


def relist(folder, change):
    """Write the index anew with changed rows."""
    with open(folder / 'index.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        change(row)
    with open(folder / 'index.csv', 'w', newline='') as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_a_sound_dataset(sound):
    report = check_dataset(sound)
    assert report['findings'] == [] and report['errors'] == 0
    assert report['counts'] == {s: [12, 12] for s in ('train', 'val', 'test')}
    assert report['classes'] == ['a', 'b'] and report['images'] == 72
    assert json.loads(json.dumps(report)) == report


def test_missing_and_broken_images(sound):
    image(sound, 'train_a_0').unlink()
    image(sound, 'train_a_1').write_bytes(b'')
    whole = image(sound, 'train_a_2').read_bytes()
    image(sound, 'train_a_2').write_bytes(whole[: len(whole) // 2])
    found = kinds(sound)
    assert found['missing images'] == ('error', ['images/train_a_0.png'])
    level, broken = found['images that cannot be decoded']
    assert level == 'error'
    assert [text.split(' (')[0] for text in broken] == [
        'images/train_a_1.png',
        'images/train_a_2.png',
    ]
    assert len(found) == 2


def test_a_truncated_jpeg(sound):
    picture = Image.open(image(sound, 'val_a_0')).convert('RGB')
    path = image(sound, 'val_a_0')
    picture.save(path, format='JPEG')
    path.write_bytes(path.read_bytes()[:-200])
    assert 'images that cannot be decoded' in kinds(sound)


def test_tiny_and_empty_classes(sound):
    (sound / 'dataset.json').write_text(json.dumps(dict(classes=['a', 'b', 'c'])))
    found = kinds(sound)
    assert found['classes without images in train'] == ('error', ['c'])
    assert found['classes without images in test'] == ('warning', ['c'])

    def move(row):
        if (
            row['split'] == 'val'
            and row['label'] == 'a'
            and not row['file'].endswith('_0.png')
        ):
            row['split'] = 'train'

    relist(sound, move)
    found = kinds(sound)
    assert found['classes of fewer than 10 images in val'] == ('warning', ['a: 1'])


def test_groups_across_splits(sound):
    relist(sound, lambda row: row.update(group=row['file'][-8:]))
    found = kinds(sound)
    level, examples = found['groups in more than one split']
    assert level == 'error' and 'test, train, val' in examples[0]


def test_another_column_of_splits(sound):
    def add(row):
        row['other'] = 'test' if row['label'] == 'a' else 'train'

    relist(sound, add)
    assert 'classes without images in train' in kinds(sound, split_column='other')
    with pytest.raises(ValueError, match='no column fold7'):
        kinds(sound, split_column='fold7')


def test_folds_are_in_the_order_of_their_numbers(sound):
    def add(row):
        row.update({f'fold{k}': row['split'] for k in (10, 2, 0)})

    relist(sound, add)
    report = check_dataset(sound, processes=1)
    assert report['split_columns'] == ['split', 'fold0', 'fold2', 'fold10']


def test_every_fold_is_looked_at(sound):
    def add(row):
        row['fold0'] = row['split']
        row['fold1'] = 'test' if row['file'].endswith('_0.png') else 'train'
        row['group'] = 'lesion' if row['file'].endswith(('_0.png', '_1.png')) else ''

    image(sound, 'train_a_0').write_bytes(image(sound, 'train_a_1').read_bytes())
    relist(sound, add)
    report = check_dataset(sound, processes=1)
    assert report['split_columns'] == ['split', 'fold0', 'fold1']
    found = kinds(sound)
    assert found['groups in more than one split (fold1)'][0] == 'error'
    # Equal findings of several columns are one.
    assert found['groups in more than one split (split, fold0)'][1] == [
        'lesion (test, train, val)'
    ]
    assert found['identical images in different splits (fold1)'][1] == [
        'images/train_a_0.png (test) = images/train_a_1.png (train)'
    ]
    assert not [
        what
        for what in found
        if what.startswith('identical images in different splits (split')
    ]
    assert 'classes without images in train (fold1)' not in found


def test_images_in_no_split_are_in_none_of_them(sound):
    def leave_out(row):
        row['group'] = row['file'][-6:]  # each in all three
        row['split'] = 'train' if row['file'].startswith('images/train') else ''

    image(sound, 'val_a_0').write_bytes(image(sound, 'train_a_1').read_bytes())
    picture = np.array(Image.open(image(sound, 'train_a_2')))
    picture[0, 0] ^= 1
    Image.fromarray(picture).save(image(sound, 'val_a_1'))
    relist(sound, leave_out)
    found = kinds(sound)
    assert found.pop('images in no split')[0] == 'warning'
    assert found.pop('splits without images') == ('warning', ['val', 'test'])
    assert found.keys() == {'identical images'}
    assert check_dataset(sound, processes=1)['counts'] == {'train': [12, 12]}
    relist(sound, lambda row: row.update(split=''))
    assert kinds(sound).keys() == {'identical images'}


SHARED = ROOT.parent / 'shared' / 'data'


@pytest.mark.skipif(not SHARED.is_dir(), reason='the data sets are not beside the code')
@pytest.mark.parametrize(
    ('name', 'group', 'column', 'leaks'),
    [
        ('ham10000', 'lesion_id', 'split', 0),
        ('ham10000', 'lesion_id', 'split_random_image_level', 994),
        ('chula_rbc12', 'smear_image', 'split', 0),
    ],
)
def test_published_splits(name, group, column, leaks):
    with open(SHARED / name / 'index.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    splits = np.array([row[column] for row in rows])
    found = _straddling([row[group] for row in rows], splits)
    assert sum(finding.count for finding in found) == leaks


def test_identical_images(sound):
    first = image(sound, 'train_a_0').read_bytes()
    image(sound, 'test_a_3').write_bytes(first)
    image(sound, 'val_b_3').write_bytes(first)
    second = image(sound, 'train_b_5')
    Image.open(second).save(image(sound, 'train_b_6'), compress_level=1)
    found = kinds(sound)
    for what in ('in different splits', 'with different labels'):
        level, examples = found[f'identical images {what}']
        assert level == 'error' and len(examples) == 1
        for name in ('train_a_0.png', 'test_a_3.png', 'val_b_3.png'):
            assert name in examples[0]
    level, examples = found['identical images']
    assert level == 'warning' and 'train_b_5' in examples[0] and len(examples) == 1


def test_near_duplicates(sound):
    smooth = np.add.outer(np.arange(48) * 3, np.arange(48) * 2).astype(np.uint8)
    smooth[10:30, 5:20] = 250
    Image.fromarray(smooth).convert('RGB').save(image(sound, 'train_a_0'))
    Image.fromarray(smooth).resize((40, 40)).convert('RGB').save(
        image(sound, 'test_a_1')
    )
    level, examples = kinds(sound)['near duplicates in different splits']
    assert level == 'warning'
    assert examples == ['images/train_a_0.png (train) ~ images/test_a_1.png (test)']


def test_near_pairs_are_those_of_a_naive_search(monkeypatch):
    monkeypatch.setattr(duplicates, 'CHUNK', 7)
    random = np.random.default_rng(0)
    hashes = random.integers(0, 256, (60, 8), np.uint8)
    hashes[30:] = hashes[:30]
    for row in range(30, 60):
        for bit in random.choice(64, row % 5, replace=False):
            hashes[row, bit // 8] ^= 1 << (bit % 8)
    splits = np.array(['train', 'val', 'test'])[random.integers(0, 3, (60, 2))]
    bits = np.unpackbits(hashes, axis=1)
    expected = {
        frozenset((a, b))
        for a in range(60)
        for b in range(a)
        if (splits[a] != splits[b]).any() and (bits[a] != bits[b]).sum() <= 2
    }
    found = {frozenset(map(int, pair)) for pair in near_pairs(hashes, splits)}
    assert found == expected and len(expected) > 5


def test_odd_images(sound):
    picture = Image.open(image(sound, 'train_a_0'))
    picture.resize((4, 4)).save(image(sound, 'train_a_0'))
    Image.open(image(sound, 'train_a_1')).convert('L').save(image(sound, 'train_a_1'))
    turned = Image.Exif()
    turned[274] = 6
    picture = Image.open(image(sound, 'train_a_2'))
    picture.crop((0, 0, 40, 48)).save(image(sound, 'train_a_2'), exif=turned)
    found = kinds(sound)
    assert found['images far smaller or narrower than the others'][1] == [
        'images/train_a_0.png 4x4'
    ]
    assert found['images that are not 8-bit RGB'][1] == ['images/train_a_1.png L']
    assert found['images with a rotation in EXIF, which training applies'][1] == [
        'images/train_a_2.png'
    ]
    assert {level for level, _ in found.values()} == {'warning'} and len(found) == 3


def test_groups_with_several_spellings_across_splits(sound):
    def spell(row):
        number = int(row['file'].split('_')[-1].removesuffix('.png'))
        row['group'] = f'{"P" if row["split"] == "train" else "p"}{number}'
        row['split'] = 'train' if row['split'] == 'train' else 'test'

    relist(sound, spell)
    level, groups = kinds(sound)['groups with several spellings']
    assert level == 'error' and len(groups) == 12
    assert "'P0' (2 images) and 'p0' (4 images)" in groups


def test_names_of_splits(sound):
    usual = dict(train='Train', val='cal', test='holdout')
    relist(sound, lambda row: row.update(split=usual[row['split']]))
    found = kinds(sound)
    assert found['splits that no tool reads'] == ('error', ['Train instead of train'])
    others = found['splits that are not train, val, test or cal']
    assert others == ('warning', ['holdout'])
    report = check_dataset(sound, processes=1)
    lacking = {
        f['level']: f for f in report['findings'] if 'splits without' in f['what']
    }
    assert lacking['error']['examples'] == ['train']
    assert lacking['warning']['examples'] == ['val', 'test']


def test_classes_without_a_name_and_numbers_that_are_shifted(sound):
    relist(sound, lambda row: row.update(label='nan' if row['label'] == 'a' else 'b'))
    assert kinds(sound)['classes without a name'] == ('warning', ['nan'])
    relist(sound, lambda row: row.update(label=int(row['label'] == 'b')))
    (sound / 'dataset.json').write_text(json.dumps(dict(classes=['1', '2'])))
    what = 'classes with numbers as names; labels were taken as their indices'
    assert kinds(sound)[what] == ('warning', ['0 = 1', '1 = 2'])
    relist(sound, lambda row: row.update(label=int(row['label']) + 1))
    assert what not in kinds(sound)


def test_all_broken_images_are_in_the_report(sound):
    for number in range(8):
        image(sound, f'train_a_{number}').write_bytes(b'')
    assert len(kinds(sound)['images that cannot be decoded'][1]) == 8


def die(*_):
    os._exit(9)


def test_a_process_that_is_killed_is_said(sound, monkeypatch):
    monkeypatch.setattr(image_facts, '_prepare', die)
    with pytest.raises(OSError, match='a process that decodes images was killed'):
        check_dataset(sound, processes=1)
