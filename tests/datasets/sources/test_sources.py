"""A miniature of each layout is read, written, and loaded again."""

import csv
import json

import cv2
import numpy as np
import pytest

from mmimbal.datasets import CSVDataset
from mmimbal.datasets.sources import (
    read_csv,
    read_isic2018,
    read_rbc12,
)
from mmimbal.datasets.sources.folders import read_folders
from mmimbal.datasets.sources.isic2018 import CLASSES, IMAGES, LESIONS, TRUTH
from mmimbal.datasets.sources.unsure import related_names
from mmimbal.datasets.splits import check_groups
from tests.conftest import rows_of, write_dataset, write_index


@pytest.fixture
def isic(tmp_path):
    """Return the official layout with 12 lesions of 2 images per class."""
    src = tmp_path / 'isic'
    rows, truth, lesions = [], [], []
    for label, name in enumerate(CLASSES):
        for number in range(24):
            image = f'ISIC_{label}{number:03d}'
            rows.append({'file': f'{IMAGES}/{image}.jpg'})
            one_hot = {other.upper(): float(other == name) for other in CLASSES}
            truth.append({'image': image} | one_hot)
            lesions.append(
                {'image': image, 'lesion_id': f'HAM_{label}{number // 2:02d}'}
            )
    write_index(src, rows)
    (src / 'index.csv').unlink()
    for path, table in ((TRUTH, truth), (LESIONS, lesions)):
        (src / path).parent.mkdir(exist_ok=True)
        with open(src / path, 'w', newline='') as file:
            writer = csv.DictWriter(file, table[0])
            writer.writeheader()
            writer.writerows(table)
    return src


def test_official_isic2018(isic, tmp_path):
    source = read_isic2018(isic)
    assert len(source.images) == 7 * 24
    write_dataset(source, tmp_path / 'out')
    loaded = {s: CSVDataset(str(tmp_path / 'out'), s) for s in ('train', 'val', 'test')}
    assert loaded['train'].CLASSES == CLASSES
    items = [(s, d.get_data_info(i)) for s, d in loaded.items() for i in range(len(d))]
    check_groups([item['group'] for _, item in items], [split for split, _ in items])
    for _, item in items:  # the label is that of the official file
        name = item['img_path'].rsplit('_', 1)[1]
        assert item['gt_label'] == int(name[0])
    shares = [len(loaded[split]) / len(items) for split in ('train', 'val', 'test')]
    assert shares == pytest.approx([0.7, 0.1, 0.2], abs=0.05)
    description = json.loads((tmp_path / 'out/dataset.json').read_text())
    assert description['licence'] == 'CC BY-NC 4.0'
    assert description['counts']['train'].keys() == set(CLASSES)


@pytest.mark.parametrize('part', [IMAGES, TRUTH, LESIONS])
def test_missing_official_file_is_named(isic, part):
    (isic / part).rename(isic / 'elsewhere')
    with pytest.raises(
        FileNotFoundError, match=f'{part} is missing. Expected in --src'
    ):
        read_isic2018(isic)


def test_official_rbc12_is_cropped_around_its_points(tmp_path):
    (tmp_path / 'Dataset').mkdir()
    (tmp_path / 'Label').mkdir()
    random = np.random.default_rng(0)
    for number in range(12):
        pixels = random.integers(0, 30, (480, 640, 3), np.uint8)  # no two alike
        pixels[100:103, 200:203] = 255
        cv2.imwrite(str(tmp_path / f'Dataset/{number}.jpg'), pixels)
        label = '200 101 3\n5 470 0\n300 300 12\n'
        (tmp_path / f'Label/{number}.txt').write_text(label)
    source = read_rbc12(tmp_path)
    assert [image.label for image in source.images[:2]] == ['spherocyte', 'normal']
    assert len(source.images) == 24  # class 12 is left out
    write_dataset(source, tmp_path / 'out')
    crop = cv2.imread(str(tmp_path / 'out/images/0_200_101_spherocyte.png'))
    assert crop.shape == (80, 80, 3)
    assert crop[41, 41].min() > 200 and crop[20, 20].max() < 50
    corner = cv2.imread(str(tmp_path / 'out/images/0_5_470_normal.png'))
    assert corner.shape == (80, 80, 3)
    for x, y in ((641, 10), (10, -1)):
        (tmp_path / 'Label/3.txt').write_text(f'{x} {y} 0\n')
        with pytest.raises(ValueError, match=f'3.jpg has 640 x 480 .* at {x} {y}'):
            write_dataset(read_rbc12(tmp_path), tmp_path / 'other')


@pytest.mark.parametrize('part', ['Dataset', 'Label'])
def test_missing_rbc12_folder_is_named(tmp_path, part):
    for folder in {'Dataset', 'Label'} - {part}:
        (tmp_path / folder).mkdir()
    with pytest.raises(FileNotFoundError, match=f'{part} is missing'):
        read_rbc12(tmp_path)


def test_given_split_and_group_column_are_kept(tmp_path):
    rows = rows_of(['0', '6'], {'train': 2, 'val': 1, 'test': 1})
    for row in rows:
        row['lesion_id'] = row.pop('group').upper()
    source = read_isic2018(write_index(tmp_path / 'src', rows))
    write_dataset(source, tmp_path / 'out')
    with open(tmp_path / 'out/index.csv') as file:
        written = list(csv.DictReader(file))
    assert [row['split'] for row in written] == [row['split'] for row in rows]
    assert [row['group'] for row in written] == [row['lesion_id'] for row in rows]
    assert {row['label'] for row in written} == {'akiec', 'vasc'}


def test_straddling_group_is_refused_and_nothing_is_written(tmp_path):
    rows = rows_of(['a', 'b'], {'train': 2, 'test': 1})
    for row in rows:
        row['group'] = 'same'
    source = read_csv(write_index(tmp_path / 'src', rows))
    with pytest.raises(ValueError, match='first, same, is in test and train'):
        write_dataset(source, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_an_existing_dataset_is_not_overwritten(folder):
    source = read_csv(folder)
    with pytest.raises(FileExistsError, match='exists already and is not empty'):
        write_dataset(source, folder)


def test_missing_image_leaves_no_index(folder, tmp_path):
    source = read_csv(folder)
    (folder / 'images/val_b_0.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'val_b_0\.png is missing'):
        write_dataset(source, tmp_path / 'out')
    assert not (tmp_path / 'out/index.csv').exists()


def test_label_outside_the_classes_is_named(tmp_path):
    write_index(tmp_path, [{'file': 'x.jpg', 'label': '7', 'lesion_id': 'l'}])
    with pytest.raises(ValueError, match=r"no class: '7' .* The 7 classes are: akiec"):
        read_isic2018(tmp_path)


@pytest.mark.parametrize(
    ('classes', 'labels', 'expected'),
    [
        (['c', 'b', 'a'], 'abc', 'abc'),
        (['c', 'b', 'a'], '012', 'cba'),
        (['1', '2', '3'], '012', '123'),  # not all of them names: indices
        (['1', '2', '3'], '123', '123'),
    ],
)
def test_a_description_beside_the_csv_is_kept(tmp_path, classes, labels, expected):
    rows = [{'file': f'{n}.png', 'label': label} for n, label in enumerate(labels)]
    described = dict(classes=classes, source='a hospital', licence='CC0')
    (write_index(tmp_path, rows) / 'dataset.json').write_text(json.dumps(described))
    source = read_csv(tmp_path)
    assert [image.label for image in source.images] == list(expected)
    assert list(source.classes) == classes
    assert (source.origin, source.licence) == ('a hospital', 'CC0')


def test_labels_without_a_description_are_sorted(tmp_path):
    for labels, expected in (('baa', ('a', 'b')), (['10', '9', '9'], ('9', '10'))):
        rows = [{'file': f'{n}.png', 'label': label} for n, label in enumerate(labels)]
        assert read_csv(write_index(tmp_path, rows)).classes == expected


def test_folders_keep_their_names_and_images_are_listed_once(tmp_path):
    rows = [{'file': f'{f}/x.png', 'label': f, 'split': 'train'} for f in 'ab']
    write_dataset(read_csv(write_index(tmp_path / 'src', rows)), tmp_path / 'out')
    dataset = CSVDataset(str(tmp_path / 'out'), 'train')
    assert dataset.get_data_info(1)['img_path'].endswith('out/images/b/x.png')
    assert dataset.get_groups() == ['a/x.png', 'b/x.png']
    write_index(tmp_path / 'twice', [rows[0], rows[0]])
    with pytest.raises(ValueError, match=r"lists 'a/x\.png'"):
        write_dataset(read_csv(tmp_path / 'twice'), tmp_path / 'other')


def test_what_systems_leave_behind_is_no_class(tmp_path):
    """A zip made on a Mac holds a second folder, of the same names."""
    rows = [
        {'file': f'{folder}/{prefix}{n}.jpg', 'label': 'a'}
        for folder in ('skin/benign', 'skin/malignant')
        for prefix in ('', '._')
        for n in range(3)
    ]
    write_index(tmp_path, rows)
    write_index(tmp_path / '__MACOSX', rows)
    (tmp_path / 'skin' / '.cache').mkdir()
    found = read_folders(tmp_path)
    assert found.classes == ('benign', 'malignant')
    assert len(found.images) == 6


def test_a_split_for_some_images_only_is_refused(tmp_path):
    rows = rows_of(['a', 'b'], {'train': 2, 'test': 2})
    rows[2]['split'] = ''
    source = read_csv(write_index(tmp_path / 'src', rows))
    with pytest.raises(ValueError, match=r'some have none, .* train_b_0\.png'):
        write_dataset(source, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_class_without_training_images_is_refused(tmp_path):
    rows = rows_of(['a'], {'train': 2}) + rows_of(['a', 'b'], {'test': 1})
    source = read_csv(write_index(tmp_path / 'src', rows))
    with pytest.raises(ValueError, match='no image to train on for class b'):
        write_dataset(source, tmp_path / 'out')


def test_too_few_groups_to_split_are_explained(tmp_path):
    rows = [
        {'file': f'{n}.png', 'label': str(n % 2), 'group': f'p{n % 2}'}
        for n in range(16)
    ]
    source = read_csv(write_index(tmp_path / 'src', rows))
    with pytest.raises(ValueError, match='each of the 2 classes has one group'):
        write_dataset(source, tmp_path / 'out')


@pytest.mark.parametrize('file', ['/etc/passwd', '../x.png'])
def test_paths_that_leave_the_download_are_refused(tmp_path, file):
    (tmp_path / 'index.csv').write_text(f'file,label\n{file},a\n')
    with pytest.raises(ValueError, match='outside its own folder'):
        read_csv(tmp_path)


def test_a_prepared_set_is_prepared_again(tmp_path):
    """With its split, which is none of the download, and no groups of file names."""
    rows = [{'file': f'{n}.png', 'label': 'ab'[n % 2]} for n in range(60)]
    first, second = tmp_path / 'first', tmp_path / 'second'
    source = read_csv(write_index(tmp_path / 'src', rows))
    write_dataset(source, first, calibration=0.2)
    again = read_csv(first)
    assert {image.group for image in again.images} == {None}
    write_dataset(again, second)
    texts = [(folder / 'index.csv').read_text() for folder in (first, second)]
    assert texts[0] == texts[1] and ',cal' in texts[0]
    splits = [
        json.loads((folder / 'dataset.json').read_text())['split']
        for folder in (first, second)
    ]
    assert splits[0] == splits[1] and splits[0].startswith('70/10/20')


@pytest.mark.parametrize(
    ('rows', 'said'),
    [
        (
            [{'file': f'{n}.png', 'set': s} for n, s in enumerate(['train', 'test'])],
            'the column set has test, train: call it split',
        ),
        (
            [{'file': f'{s}/0.png'} for s in ('train', 'test')],
            'images are in folders test, train: add',
        ),
    ],
)
def test_a_split_that_would_be_overlooked_is_said(tmp_path, rows, said):
    rows = [row | {'label': 'ab'[n]} for n, row in enumerate(rows)]
    lines = read_csv(write_index(tmp_path, rows)).unsure
    assert any(said in line for line in lines)


def test_labels_that_are_numbers_of_classes_are_said(tmp_path):
    folder = write_index(tmp_path, [{'file': f'{n}.png', 'label': n} for n in (0, 1)])
    (folder / 'dataset.json').write_text(json.dumps(dict(classes=['nv', 'mel'])))
    said = 'labels were taken as numbers of classes: 0 = nv, 1 = mel'
    assert said in read_csv(folder).unsure


@pytest.mark.parametrize('both', ['a|b', 'a,b', 'a; b', 'a b', "['a', 'b']", 'a+b'])
def test_several_labels_of_an_image_are_said(tmp_path, both):
    labels = ['a', 'b', both, 'c d']
    rows = [{'file': f'{n}.png', 'label': label} for n, label in enumerate(labels)]
    (line,) = read_csv(write_index(tmp_path, rows)).unsure
    assert f'labels such as {both!r} seem to name several classes' in line


@pytest.mark.parametrize(
    ('names', 'said'),
    [
        (['p0_left', 'p0_right', 'p1_left', 'p1_right'], 'as p0_left.png and p0_right'),
        (['a_aug0', 'a_aug1', 'b_aug0', 'b_aug1'], 'as a_aug0.png and a_aug1.png'),
        (['a', 'a (1)', 'b', 'b (1)', 'c'], '4 of 5 images have names'),
        (['img_1', 'img_2', 'img_3', 'left', 'right'], ''),
        ([f'covid ({n})' for n in range(30)], ''),
    ],
)
def test_names_that_differ_only_at_the_end(names, said):
    sentences = related_names([f'{name}.png' for name in names])
    assert bool(sentences) == bool(said)
    assert said in ''.join(sentences)
