"""A miniature of every layout is prepared, checked, and trained on for a step."""

import csv
import json

import cv2
import numpy as np
import pytest

from mmimbal.datasets import CSVDataset
from mmimbal.datasets.checking.check import check_dataset
from mmimbal.datasets.sources import READERS, isic2019
from mmimbal.datasets.sources.retinopathy import CLASSES as GRADES
from tests.conftest import tiny_digits, train, write_dataset

EACH = 24  # images of a class


def paint(path, random):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), random.integers(0, 256, (32, 32, 3), np.uint8))


def write_table(path, rows):
    with open(path, 'w', newline='') as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def make_isic2019(src, random):
    truth, lesions = [], []
    for label, name in enumerate(isic2019.CLASSES):
        for number in range(EACH):
            image = f'ISIC_{label}{number:03d}'
            paint(src / isic2019.IMAGES / f'{image}.jpg', random)
            one_hot = {n.upper(): f'{float(n == name)}' for n in isic2019.CLASSES}
            truth.append({'image': image, **one_hot, 'UNK': '0.0'})
            lesion = f'BCN_{label}{number // 2}' if number < 12 else ''
            lesions.append({'image': image, 'age_approx': '55', 'lesion_id': lesion})
    write_table(src / isic2019.TRUTH, truth)
    write_table(src / isic2019.LESIONS, lesions)
    return isic2019.CLASSES


def make_aptos2019(src, random):
    rows = []
    for number in range(5 * EACH):
        paint(src / 'train_images' / f'{number:04x}.png', random)
        rows.append({'id_code': f'{number:04x}', 'diagnosis': number % 5})
    write_table(src / 'train.csv', rows)
    return GRADES


def make_eyepacs(src, random):
    rows = []
    for number in range(5 * EACH):
        name = f'{number // 2}_{"left" if number % 2 else "right"}'
        paint(src / 'train' / f'{name}.jpeg', random)
        rows.append({'image': name, 'level': number // 2 % 5})
    write_table(src / 'trainLabels.csv', rows)
    return GRADES


def make_covidx(src, random):
    for split in ('train', 'val', 'test'):
        lines = []
        for number in range(2 * EACH):
            name = f'{split} {number}.png' if number == 3 else f'{split}{number}.png'
            patient = f'{split}-p{number // 3}'
            if number >= EACH:  # as the lists of 7B and 8B have it for sirm
                patient, name = f'{split} {number}', f'{split}({number}).png'
            paint(src / split / name, random)
            label = 'positive' if number % 2 else 'negative'
            lines.append(f'{patient} {name} {label} cohen')
        (src / f'{split}.txt').write_text('\n'.join(lines) + '\n')
    return ('negative', 'positive')


def make_folders(src, random):
    for name in ('a, "b"', 'ç', 'z'):
        for number in range(EACH):
            paint(src / name / 'deep' / f'{number}.png', random)
        (src / name / 'notes.txt').write_text('no image')
    return ('a, "b"', 'z', 'ç')


def make_kvasir(src, random):
    return make_folders(src / 'kvasir-dataset-v2', random)


def make_split_folders(src, random):
    for split in ('train', 'valid', 'test'):
        make_folders(src / split, random)
    return ('a, "b"', 'z', 'ç')


def make_medmnist(src, random):
    arrays = {}
    for split, count in (('train', 60), ('val', 24), ('test', 24)):
        arrays[f'{split}_images'] = random.integers(0, 256, (count, 28, 28), np.uint8)
        arrays[f'{split}_labels'] = (np.arange(count) % 2)[:, None]
    np.savez(src, **arrays)
    return None


LAYOUTS = {
    'isic2019': make_isic2019,
    'aptos2019': make_aptos2019,
    'eyepacs': make_eyepacs,
    'covidx': make_covidx,
    'folders': make_folders,
    'kvasir': make_kvasir,
    'pbc': make_split_folders,
    'medmnist': make_medmnist,
}


def prepare(name, tmp_path, **options):
    src = tmp_path / ('mini.npz' if name == 'medmnist' else 'src')
    classes = LAYOUTS[name](src, np.random.default_rng(0))
    out = tmp_path / 'out'
    write_dataset(READERS[name](src), out, **options)
    return out, classes or ('0', '1')


@pytest.mark.parametrize('name', LAYOUTS)
def test_prepare_check_and_train(name, tmp_path):
    out, classes = prepare(name, tmp_path)
    report = check_dataset(out, processes=1)
    assert report['errors'] == 0 and tuple(report['classes']) == classes
    (out / 'check.json').write_text(json.dumps(report))
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=(8, 8)),
        dict(type='PackInputs'),
    ]
    cfg = tiny_digits('stage1_ce', tmp_path / 'run')
    cfg.model.head.num_classes = len(classes)
    for split in ('train', 'val'):
        cfg[f'{split}_dataloader'].dataset = dict(
            type='mmimbal.CSVDataset',
            data_root=str(out),
            split=split,
            test_mode=split != 'train',
            pipeline=pipeline,
        )
    for split in ('val', 'test'):
        cfg[f'{split}_evaluator'] = dict(type='mmimbal.ImbalanceMetric')
    cfg.train_cfg.max_epochs = 1
    assert train(cfg).message_hub.get_scalar('train/loss').current() > 0


def items(out):
    with open(out / 'index.csv', newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def test_groups_are_those_of_the_download(tmp_path):
    out, _ = prepare('eyepacs', tmp_path)
    assert {row['group'] for row in items(out)} == {str(n) for n in range(60)}


def test_lesions_that_are_not_known_are_groups_of_their_own(tmp_path):
    out, _ = prepare('isic2019', tmp_path)
    groups = [row['group'] for row in items(out)]
    assert len(set(groups)) == 8 * (6 + 12)


def test_official_splits_are_kept_or_made_anew(tmp_path):
    out, _ = prepare('covidx', tmp_path)
    assert all(f'/{row["split"]}/' in row['file'] for row in items(out))
    assert json.loads((out / 'dataset.json').read_text())['split'] == 'of the download'
    other = tmp_path / 'other'
    write_dataset(READERS['covidx'](tmp_path / 'src'), other, split='group', folds=3)
    rows = items(other)
    assert any(f'/{row["split"]}/' not in row['file'] for row in rows)
    for fold in range(3):
        dataset = CSVDataset(str(other), 'test', f'fold{fold}', test_mode=True)
        assert len(dataset) == sum(row[f'fold{fold}'] == 'test' for row in rows)
    assert '3 folds' in json.loads((other / 'dataset.json').read_text())['split']


def test_pixels_of_medmnist_are_kept(tmp_path):
    out, _ = prepare('medmnist', tmp_path)
    images = np.load(tmp_path / 'mini.npz')['val_images']
    written = cv2.imread(str(out / 'images/val/000007.png'))
    assert (written == images[7][..., None]).all()


def test_identical_images_stay_together(tmp_path):
    src = tmp_path / 'src'
    make_aptos2019(src, np.random.default_rng(0))
    table = (src / 'train.csv').read_text().split()[1:]
    grade = table[0].split(',')[1]
    same = [row.split(',')[0] for row in table if row.endswith(f',{grade}')]
    content = (src / 'train_images' / f'{same[0]}.png').read_bytes()
    for name in same[1:4]:
        (src / 'train_images' / f'{name}.png').write_bytes(content)
    write_dataset(READERS['aptos2019'](src), tmp_path / 'out', folds=2)
    report = check_dataset(tmp_path / 'out', processes=1)
    found = [finding['what'] for finding in report['findings']]
    assert 'identical images' in found
    assert not [what for what in found if 'identical images in different' in what]


def test_links_in_place_of_copies(tmp_path):
    out, _ = prepare('aptos2019', tmp_path, link=True)
    first = out / items(out)[0]['file']
    assert first.is_symlink() and first.resolve().parent.name == 'train_images'
    assert check_dataset(out, processes=1)['errors'] == 0


MISSING = {
    'isic2019': isic2019.LESIONS,
    'aptos2019': 'train.csv',
    'eyepacs': 'trainLabels.csv',
    'covidx': 'test.txt',
    'medmnist': 'mini.npz',
}


@pytest.mark.parametrize('name', MISSING)
def test_the_missing_official_file_is_named(name, tmp_path):
    src = tmp_path / ('mini.npz' if name == 'medmnist' else 'src')
    LAYOUTS[name](src, np.random.default_rng(0))
    (src if name == 'medmnist' else src / MISSING[name]).unlink()
    with pytest.raises(FileNotFoundError, match=f'{MISSING[name]} is missing'):
        READERS[name](src)


@pytest.mark.parametrize('name', ['folders', 'kvasir', 'pbc'])
def test_no_folders_of_images(name, tmp_path):
    with pytest.raises(FileNotFoundError, match='has no folders with images'):
        READERS[name](tmp_path)


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ('name', 'file', 'old', 'new', 'message'),
    [
        ('isic2019', isic2019.TRUTH, '1.0', '0.0', 'ISIC_0000 0 labels instead of one'),
        ('isic2019', isic2019.TRUTH, 'SCC', 'OTHER', 'has no SCC for ISIC_0000'),
        (
            'isic2019',
            isic2019.TRUTH,
            'ISIC_0001',
            'ISIC_0000',
            "lists 'ISIC_0000' twice",
        ),
        ('aptos2019', 'train.csv', '0000,0', '0000,5', "diagnosis of 0000 is '5'"),
        (
            'aptos2019',
            'train.csv',
            'id_code',
            'id',
            'no column id_code; its columns are: id',
        ),
        ('eyepacs', 'trainLabels.csv', 'level', 'grade', 'level of 0_right is None'),
        ('covidx', 'val.txt', ' cohen', '', 'line 1: expected 4 words'),
        (
            'covidx',
            'test.txt',
            'test1.png positive',
            'test0.png positive',
            'test0.png has label positive, but negative in an earlier line',
        ),
    ],
)
def test_tables_that_contradict_themselves(tmp_path, name, file, old, new, message):
    LAYOUTS[name](tmp_path, np.random.default_rng(0))
    change(tmp_path / file, old, new)
    with pytest.raises(ValueError, match=message):
        READERS[name](tmp_path)


@pytest.mark.parametrize(
    ('arrays', 'message'),
    [
        (dict(train_images=np.zeros((2, 8, 8, 8), np.uint8)), 'volumes'),
        (dict(train_labels=np.zeros((2, 3), int)), 'several labels'),
        (dict(val_images=np.array([dict()])), 'is no file of MedMNIST'),
    ],
)
def test_medmnist_that_cannot_be_used(tmp_path, arrays, message):
    whole = {}
    for split in ('train', 'val', 'test'):
        whole[f'{split}_images'] = np.zeros((2, 8, 8), np.uint8)
        whole[f'{split}_labels'] = np.zeros((2, 1), int)
    if 'train_labels' in arrays:
        arrays = {
            f'{s}_labels': arrays['train_labels'] for s in ('train', 'val', 'test')
        }
    np.savez(tmp_path / 'x.npz', **(whole | arrays))
    with pytest.raises(ValueError, match=message):
        READERS['medmnist'](tmp_path / 'x.npz')


def test_a_cut_file_of_medmnist(tmp_path):
    LAYOUTS['medmnist'](tmp_path / 'x.npz', np.random.default_rng(0))
    path = tmp_path / 'x.npz'
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match='is no file of MedMNIST'):
        READERS['medmnist'](path)


# Lines of the published lists of COVIDx 7B and CXR-3A, and what they say.
PUBLISHED = {
    '5 ARDSSevere.png negative cohen': ('5', 'ARDSSevere.png', 'negative'),
    '313b 10.1016-slash-j.hrcr.2020.04.015-fig3-a.png negative cohen': (
        '313b',
        '10.1016-slash-j.hrcr.2020.04.015-fig3-a.png',
        'negative',
    ),
    'COVID 1 COVID(1).png positive sirm': ('COVID 1', 'COVID(1).png', 'positive'),
    'COVID 2 COVID(2).png positive sirm': ('COVID 2', 'COVID(2).png', 'positive'),
    'SITE2-000265 MIDRC-RICORD-1C-SITE2-000265-99793-1.png COVID-19 ricord': (
        'SITE2-000265',
        'MIDRC-RICORD-1C-SITE2-000265-99793-1.png',
        'COVID-19',
    ),
}


@pytest.mark.parametrize('on_disk', [True, False])
def test_published_lines_of_covidx(tmp_path, on_disk):
    for split in ('train', 'test'):
        (tmp_path / split).mkdir()
        (tmp_path / f'{split}.txt').write_text('\n'.join(PUBLISHED))
        for _, name, _ in PUBLISHED.values() if on_disk else ():
            (tmp_path / split / name).touch()
    images = READERS['covidx'](tmp_path).images
    found = [(image.group, image.path.name, image.label) for image in images]
    assert found == [*PUBLISHED.values()] * 2
