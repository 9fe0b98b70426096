"""Layouts of folders that people download: what is taken, refused and left out."""

import os
import shutil
from collections import Counter

import cv2
import numpy as np
import pytest

from mmimbal.datasets.checking.check import check_dataset
from mmimbal.datasets.sources.folders import read_folders
from mmimbal.datasets.sources.plan import plan_dataset
from tests.conftest import write_dataset, write_index


def paint(folder, *names, each=3):
    """Write images below folders: ``NAME/0.png``, ``NAME/1.png``, ..."""
    random = np.random.default_rng(len(names))
    for name in names:
        for number in range(each):
            file = folder / name / f'{number}.png'
            file.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(file), random.integers(0, 256, (8, 8, 3), dtype=np.uint8))


def counts(source):
    return Counter((image.split, image.label) for image in source.images)


def grid(splits, labels):
    return [f'{split}/{label}' for split in splits for label in labels]


@pytest.mark.parametrize(
    'names',
    [
        ('train', 'val', 'test'),
        ('Training', 'Validation', 'Testing'),
        ('TRAIN', 'valid', 'TEST'),
        ('train2017', 'val2017', 'test2017'),
        ('TrainData', 'ValData', 'TestData'),
        ('trainset', 'valset', 'testset'),
        ('train_images', 'val_images', 'test_images'),
    ],
)
def test_usual_names_of_splits_are_splits(tmp_path, names):
    paint(tmp_path / 'set', *grid(names, 'ab'))
    source = read_folders(tmp_path)
    expected = {(s, c): 3 for s in ('train', 'val', 'test') for c in 'ab'}
    assert counts(source) == expected and source.classes == ('a', 'b')
    entered, sentence = source.unsure
    assert entered == 'the only folder, set, was entered'
    assert all(name in sentence for name in names)


@pytest.mark.parametrize('tops', [('.',), ('train', 'test')])
@pytest.mark.parametrize('kinds', [('images', 'masks'), ('Image', 'gt'), ['mask']])
def test_images_and_their_masks_are_no_classes(tmp_path, tops, kinds):
    paint(tmp_path, *grid(tops, kinds))
    with pytest.raises(ValueError, match='seems to hold masks'):
        read_folders(tmp_path, split_folders={t: t for t in tops if t != '.'})


def test_one_class_is_too_few(tmp_path):
    paint(tmp_path, *grid(('train', 'test'), ['images']))
    with pytest.raises(ValueError, match='the only class is images, and'):
        plan_dataset(read_folders(tmp_path))


def test_folders_inside_of_classes_are_said(tmp_path):
    """They may be patients, or classes with classes of their own."""
    paint(tmp_path, *grid('ab', [f'p{n}' for n in range(2)]), 'c')
    said = read_folders(tmp_path).unsure
    assert any('neither classes nor groups: p0, p1. If' in line for line in said)
    paint(tmp_path / 'with splits', *grid('ab', ['train', 'test']))
    said = read_folders(tmp_path / 'with splits', class_folders=True).unsure
    assert any('test, train inside of classes were not' in line for line in said)
    assert not any('neither classes nor groups' in line for line in said)


def test_a_name_that_is_only_an_ending_is_an_image(tmp_path):
    paint(tmp_path, 'a', 'b')
    image = next((tmp_path / 'a').iterdir())
    image.rename(image.with_name('_mask.png'))
    assert counts(read_folders(tmp_path)) == {(None, 'a'): 3, (None, 'b'): 3}


@pytest.mark.parametrize(
    ('extra', 'inside'),
    [
        (grid(['copy/train', 'copy/test'], 'ab'), 'test, train are in several'),
        (grid(['TEST_SIMPLE'], 'ab'), 'a, b are in several'),
        (['other/c'], ''),
    ],
)
def test_a_layout_that_contradicts_itself_is_refused(tmp_path, extra, inside):
    paint(tmp_path, *grid(['train', 'test'], 'ab'), *extra)
    odd = extra[0].split('/')[0]
    with pytest.raises(ValueError, match='names of splits, but') as error:
        read_folders(tmp_path)
    message = str(error.value)
    assert odd in message and inside in message
    assert '--split-folders' in message and '--class-folders' in message


def test_a_flag_settles_it(tmp_path):
    paint(tmp_path, *grid(['train', 'test', 'TEST_SIMPLE'], 'ab'))
    splits = dict(train='train', test='test')
    source = read_folders(tmp_path, split_folders=splits)
    assert counts(source) == {(s, c): 3 for s in splits for c in 'ab'}
    ((reason, files),) = source.left_out.items()
    assert 'TEST_SIMPLE' in reason and len(files) == 6
    source = read_folders(tmp_path, class_folders=True)
    assert counts(source) == {(None, c): 6 for c in ('train', 'test', 'TEST_SIMPLE')}


def test_a_split_folder_that_is_missing_is_named(tmp_path):
    paint(tmp_path, *grid(['train', 'test'], 'ab'))
    with pytest.raises(ValueError, match='has no folder trian; it has test, train'):
        read_folders(tmp_path, split_folders=dict(trian='train'))


def test_class_folders_of_two_spellings_are_refused(tmp_path):
    paint(tmp_path, 'train/NV', 'train/mel', 'test/nv', 'test/mel')
    with pytest.raises(ValueError, match=r"'NV' \(3 images\) and 'nv' \(3 images\)"):
        read_folders(tmp_path)


def test_a_class_that_is_in_one_split_only_is_said(tmp_path):
    paint(tmp_path, 'train/a', 'train/b', 'val/a', 'test/b')
    lines = read_folders(tmp_path).unsure
    assert 'val has no images of b' in lines and 'test has no images of a' in lines


def test_splits_inside_of_classes_are_said(tmp_path):
    paint(tmp_path, 'a/train', 'a/test', 'b/train', 'b/test')
    source = read_folders(tmp_path, class_folders=True)
    assert counts(source) == {(None, 'a'): 6, (None, 'b'): 6}
    assert 'folders test, train inside of classes were not taken' in source.unsure[0]


@pytest.mark.parametrize(
    ('names', 'reason'),
    [
        (grid(['train_a', 'test_a'], 'ab'), 'names of parts of a data set'),
        (grid(['train1', 'test1'], 'ab'), 'names of parts of a data set'),
        (grid('pqrs', ['benign', 'evil']), 'p, q, r, s have the same folders inside'),
        (['benign', 'evil', 'evil_masks'], 'evil_masks seems to hold masks of other'),
        (grid(['fold_1', 'fold_2', 'fold_3'], 'ab'), 'fold_3 have names of parts'),
        (grid(['v1', 'v2'], ['train', 'test']), 'v2 have folders with names of splits'),
        (grid('ab', ['train', 'test']), 'splits inside. To keep this split, move them'),
        (grid(['images', 'masks'], 'ab'), 'masks has the folders of the others'),
        (grid(['img', 'lung_masks'], 'ab'), 'lung_masks has the folders of the others'),
    ],
)
def test_folders_that_seem_no_classes_are_refused(tmp_path, names, reason):
    paint(tmp_path, *names)
    with pytest.raises(ValueError, match=reason) as error:
        read_folders(tmp_path)
    assert '--class-folders' in str(error.value)
    tops = {name.split('/')[0] for name in names}
    taken = read_folders(tmp_path, class_folders=True)
    assert {image.label for image in taken.images} == tops


def test_folders_of_patients_and_of_kinds_inside_of_classes_are_fine(tmp_path):
    paint(tmp_path, *grid(['benign', 'malignant'], ['40X', 'patient_1', 'images']))
    assert counts(read_folders(tmp_path)) == {
        (None, 'benign'): 9,
        (None, 'malignant'): 9,
    }


def test_given_split_folders_are_found_inside_of_the_only_folder(tmp_path):
    paint(tmp_path, *grid(['set/TRAIN', 'set/TEST_SIMPLE'], 'ab'))
    source = read_folders(tmp_path, split_folders=dict(TRAIN='train'))
    assert counts(source) == {('train', 'a'): 3, ('train', 'b'): 3}


def test_files_beside_the_only_folder_and_classes_without_images_are_said(tmp_path):
    paint(tmp_path, 'set/a', 'set/b')
    (tmp_path / 'set/c').mkdir()
    (tmp_path / 'extra.png').write_bytes(b'')
    lines = read_folders(tmp_path).unsure
    assert 'only set was read; beside it are 1 files, such as extra.png' in lines
    assert 'no image was taken of c: it is no class' in lines


def test_a_missing_source_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match='--src: there is no folder'):
        read_folders(tmp_path / 'nowhere', split_folders=dict(a='train'))


def test_names_that_are_not_utf8_are_named(tmp_path):
    paint(tmp_path, 'a')
    folder = os.fsencode(tmp_path / 'a')
    os.rename(folder + b'/0.png', folder + b'/\xb2\xa1.png')
    with pytest.raises(ValueError, match=r'is not UTF-8: .*udcb2.*Rename it'):
        read_folders(tmp_path)


def test_masks_previews_and_system_files_are_left_out_and_counted(tmp_path):
    paint(tmp_path, 'a/images', 'a/masks', 'b/images', 'b/thumbnails', 'mask', each=2)
    for name in (
        'a/images/0_mask',
        'a/images/0_mask_1',
        'a/images/1_preview',
        'b/images/lonely_mask',
    ):
        ending = (tmp_path / name).with_suffix('.png')
        ending.write_bytes((tmp_path / 'a/images/0.png').read_bytes())
    (tmp_path / '__MACOSX/a').mkdir(parents=True)
    (tmp_path / '__MACOSX/a/._0.jpg').write_text('')
    (tmp_path / 'b/Thumbs.db').write_text('')
    (tmp_path / 'b/notes.txt').write_text('')
    (tmp_path / 'b/photo.heic').write_text('')
    (tmp_path / 'on_top.png').write_bytes((tmp_path / 'mask/0.png').read_bytes())
    (tmp_path / 'b/broken.png').symlink_to(tmp_path / 'nowhere.png')
    source = read_folders(tmp_path)
    # A class may be called mask, and lonely_mask is the mask of no image.
    assert counts(source) == {
        (None, 'a'): 2,
        (None, 'b'): 3,
        (None, 'mask'): 2,
    }
    assert {reason: len(files) for reason, files in source.left_out.items()} == {
        'masks': 4,
        'previews': 3,
        'files of the system': 2,
        'files that are no images (.txt)': 1,
        'images that OpenCV cannot decode (.heic)': 1,
        'in no class folder': 1,
        'broken links': 1,
    }


@pytest.mark.parametrize(
    'name',
    [
        '0_masks',
        '0_mask (1)',
        '0_mask_left',
        '0_superpixels',
        '0_anno',
        'mask_1/0',
        'annotations/0',
    ],
)
def test_usual_names_of_masks(tmp_path, name):
    paint(tmp_path, 'a', 'b')
    mask = tmp_path / 'a' / f'{name}.png'
    mask.parent.mkdir(exist_ok=True)
    shutil.copy(tmp_path / 'a/1.png', mask)
    source = read_folders(tmp_path)
    assert list(source.left_out) == ['masks']
    assert counts(source) == {(None, 'a'): 3, (None, 'b'): 3}


@pytest.mark.parametrize('suffix', ['.jfif', '.jpe', '.JPG', '.gif', '.webp', '.tif'])
def test_images_of_all_suffixes_are_taken(tmp_path, suffix):
    paint(tmp_path, 'a', 'b')
    for file in (tmp_path / 'a').iterdir():
        file.rename(file.with_suffix(suffix))
    assert counts(read_folders(tmp_path)) == {(None, 'a'): 3, (None, 'b'): 3}


def test_links_and_linked_folders_are_followed(tmp_path):
    paint(tmp_path / 'store', 'x', 'y')
    (tmp_path / 'set/b').mkdir(parents=True)
    (tmp_path / 'set/a').symlink_to(tmp_path / 'store/x')
    for file in (tmp_path / 'store/y').iterdir():
        (tmp_path / 'set/b' / file.name).symlink_to(file)
    (tmp_path / 'set/b/loop').symlink_to(tmp_path / 'set')
    assert counts(read_folders(tmp_path / 'set')) == {(None, 'a'): 3, (None, 'b'): 3}


def test_every_file_is_taken_or_counted(tmp_path):
    paint(tmp_path, 'a/images', 'a/masks', 'b')
    write_index(tmp_path / 'more', [{'file': 'c/1.txt.png', 'label': 'c'}])
    source = read_folders(tmp_path)
    files = [path for path in tmp_path.rglob('*') if path.is_file()]
    left_out = sum(map(len, source.left_out.values()))
    assert len(source.images) + left_out == len(files)


def test_a_download_without_validation_gets_one(tmp_path):
    paint(tmp_path / 'src', *grid(['Training', 'Testing'], 'ab'), each=20)
    found = write_dataset(read_folders(tmp_path / 'src'), tmp_path / 'out')
    assert found == {
        'train': dict(a=18, b=18),
        'val': dict(a=2, b=2),
        'test': dict(a=20, b=20),
    }


def test_identical_images_are_not_in_train_and_a_validation_made_here(tmp_path):
    paint(tmp_path / 'src', *grid(['train', 'test'], 'ab'), each=20)
    for label in 'ab':
        folder = tmp_path / 'src/train' / label
        for number in range(20, 38):
            shutil.copy(tmp_path / 'src/train/a/0.png', folder / f'{number}.png')
    write_dataset(read_folders(tmp_path / 'src'), tmp_path / 'out')
    report = check_dataset(tmp_path / 'out', processes=1)
    found = [finding['what'] for finding in report['findings']]
    assert any('identical images' in what for what in found)
    assert not any('in different splits' in what for what in found)


def test_folders_of_patients_with_folders_of_classes(tmp_path):
    paint(tmp_path, *grid('pqrs', ['benign', 'evil']), 't/evil')
    source = read_folders(tmp_path, group_folders=True)
    assert source.classes == ('benign', 'evil')
    assert counts(source) == {(None, 'benign'): 12, (None, 'evil'): 15}
    groups = Counter(image.group for image in source.images)
    assert groups == {'p': 6, 'q': 6, 'r': 6, 's': 6, 't': 3}
    assert not any('groups' in line for line in source.unsure)


def test_a_file_beside_an_image_makes_it_no_mask(tmp_path):
    """p0.xml beside p0_roi.png is no image whose mask this could be."""
    paint(tmp_path, 'a', 'b')
    for image in list(tmp_path.glob('*/*.png')):
        image.with_suffix('.xml').write_text('')
        image.rename(image.with_name(f'{image.stem}_roi.png'))
    assert counts(read_folders(tmp_path)) == {(None, 'a'): 3, (None, 'b'): 3}


def test_what_was_left_out_is_said_if_nothing_remains(tmp_path):
    paint(tmp_path, 'a', 'b')
    for image in list(tmp_path.glob('*/*.png')):
        image.rename(image.with_suffix('.heic'))
    with pytest.raises(FileNotFoundError, match='Left out: 6 images that OpenCV'):
        read_folders(tmp_path)


def test_empty_files_are_not_one_image(tmp_path):
    """Equal files join their groups; those without content say nothing."""
    paint(tmp_path, *grid('ab', [f'p{n}' for n in range(12)]), each=1)
    for image in tmp_path.glob('a/*/*.png'):
        image.write_bytes(b'')
    plan = plan_dataset(read_folders(tmp_path))
    assert all(plan.counts[split][c] for split in ('train', 'test') for c in 'ab')
    assert any(line.startswith('12 files are empty, the') for line in plan.warnings)


def test_no_validation_images_are_said(tmp_path):
    paint(tmp_path, 'a', 'b')
    plan = plan_dataset(read_folders(tmp_path))
    assert 'val' not in plan.columns['split']
    assert any(line.startswith('there are no validation') for line in plan.warnings)


def test_more_folds_than_the_groups_allow_are_refused(tmp_path):
    paint(tmp_path, 'a', 'b', each=12)
    source = read_folders(tmp_path)
    plan_dataset(source, folds=5)
    with pytest.raises(ValueError, match=r'--folds 30: fold\d+ would have no .* fewer'):
        plan_dataset(source, folds=30)


def test_a_misspelled_class_in_one_split_is_named(tmp_path):
    paint(tmp_path, 'train/melanoma', 'train/nevus', 'test/melanoma', 'test/nevsu')
    with pytest.raises(ValueError, match=r'class nevsu \(is it nevus, misspelled'):
        plan_dataset(read_folders(tmp_path))


def test_group_folders_of_two_spellings_are_refused(tmp_path):
    paint(tmp_path, *grid(('P1', 'p1', 'P2'), 'ab'))
    with pytest.raises(ValueError, match=r"group folders that differ .*'P1' .* 'p1' "):
        read_folders(tmp_path, group_folders=True)


def test_class_folders_are_no_group_folders(tmp_path):
    paint(tmp_path, 'a', 'b')
    message = 'Without --group-folders: one folder of images per class'
    with pytest.raises(FileNotFoundError, match=message):
        read_folders(tmp_path, group_folders=True)


def test_splits_are_no_group_folders(tmp_path):
    paint(tmp_path, *grid(('train', 'test'), 'ab'))
    with pytest.raises(ValueError, match=r'test, train .* names of splits, not of gr'):
        read_folders(tmp_path, group_folders=True)


def test_masks_named_before_their_image(tmp_path):
    paint(tmp_path, 'a', 'b')
    for file in [*tmp_path.rglob('*.png')]:
        shutil.copy(file, file.with_name(f'mask_{file.name}'))
    shutil.copy(tmp_path / 'a/0.png', tmp_path / 'a/mask_alone.png')
    source = read_folders(tmp_path)
    assert counts(source) == {(None, 'a'): 4, (None, 'b'): 3}
    assert len(source.left_out['masks']) == 6


@pytest.mark.parametrize('masks', ['mask_images', 'labels', 'Label', 'masks-png'])
def test_folders_of_masks_beside_their_images(tmp_path, masks):
    paint(tmp_path, *grid('ab', ('images', masks)))
    source = read_folders(tmp_path)
    assert counts(source) == {(None, 'a'): 3, (None, 'b'): 3}
    assert len(source.left_out['masks']) == 6


def test_labels_without_images_beside_them_are_images(tmp_path):
    paint(tmp_path, 'a/labels', 'b/labels')
    assert counts(read_folders(tmp_path)) == {(None, 'a'): 3, (None, 'b'): 3}


@pytest.mark.parametrize('name', ['x\ny', 'x\ry'])
def test_a_name_with_a_line_break_is_refused(tmp_path, name):
    paint(tmp_path, 'a', f'b/{name}')
    with pytest.raises(ValueError, match='has a line break'):
        read_folders(tmp_path)


def test_two_folds_cannot_be_fewer(tmp_path):
    paint(tmp_path, *grid(('p0', 'p1'), 'ab'))
    source = read_folders(tmp_path, group_folders=True)
    with pytest.raises(ValueError, match=r'too few groups\. Leave out --folds'):
        plan_dataset(source, folds=2)
