"""CSV files as people write them in spreadsheets."""

import re
import unicodedata
from dataclasses import replace

import numpy as np
import pytest

from mmimbal.datasets import CSVDataset
from mmimbal.datasets.sources import plan_dataset, read_csv
from mmimbal.datasets.sources.plan_splits import with_calibration
from tests.conftest import write_dataset, write_index


def rows(labels, **columns):
    table = [{'file': f'{n}.png', 'label': label} for n, label in enumerate(labels)]
    for name, cells in columns.items():
        for row, cell in zip(table, cells, strict=True):
            row[name] = cell
    return table


def test_labels_of_two_spellings_are_refused_in_preparing_and_training(tmp_path):
    write_index(tmp_path, rows(['nv', 'nv ', 'NV', 'mel']))
    with pytest.raises(ValueError, match=r"'NV' .* and 'nv ' .* and 'nv' "):
        read_csv(tmp_path)
    with pytest.raises(ValueError, match=r"'NV' .* and 'nv ' .* and 'nv' "):
        CSVDataset(str(tmp_path)).full_init()


@pytest.mark.parametrize('names', [('P1', 'P1 '), ('P1', 'p1'), ('1', '1.0')])
def test_groups_of_two_spellings_are_refused(tmp_path, names):
    write_index(tmp_path, rows('abab', group=[*names, *names]))
    with pytest.raises(ValueError, match='groups that differ only in'):
        read_csv(tmp_path)


@pytest.mark.parametrize('label', ['nan', '#N/A', '#NAME?'])
def test_unknown_labels_are_refused(tmp_path, label):
    write_index(tmp_path, rows(['a', label]))
    with pytest.raises(ValueError, match=f'have the label {re.escape(repr(label))}'):
        read_csv(tmp_path)


@pytest.mark.parametrize('name', ['Group', 'SPLIT', ' group'])
def test_columns_of_another_spelling_are_refused(tmp_path, name):
    write_index(tmp_path, rows('ab', **{name: 'pq'}))
    right = name.strip().lower()
    message = f'the column {name!r} must be written {right!r}'
    with pytest.raises(ValueError, match=message):
        read_csv(tmp_path)
    with pytest.raises(ValueError, match=message):
        CSVDataset(str(tmp_path)).full_init()


def test_columns_that_are_not_used_are_said(tmp_path):
    write_index(tmp_path, rows('ab', patient='pq', age='12'))
    (sentence,) = read_csv(tmp_path).unsure
    assert 'not used: patient, age. If one of them names patients' in sentence
    write_index(tmp_path, rows('ab', group='pq', age='12'))
    assert read_csv(tmp_path).unsure == ['columns that are not used: age']


def test_the_column_of_groups_may_be_named_group(tmp_path):
    folder = write_index(tmp_path, rows('ab', group='pq'))
    assert [each.group for each in read_csv(folder, group='group').images] == ['p', 'q']


def test_combinations_of_labels_are_said(tmp_path):
    write_index(tmp_path, rows(['A', 'B', 'A|B']))
    (sentence,) = read_csv(tmp_path).unsure
    assert "labels such as 'A|B' seem to name several classes" in sentence


@pytest.mark.parametrize('name', ['x.txt', 'x.heic', 'x'])
def test_listed_files_that_are_no_images_are_refused(tmp_path, name):
    write_index(tmp_path, rows('ab'))
    (tmp_path / name).write_text('no image')
    with open(tmp_path / 'index.csv', 'a') as file:
        file.write(f'{name},a\n')
    with pytest.raises(ValueError, match=f'lists {name!r}, which is no image'):
        read_csv(tmp_path)


def test_an_image_without_a_suffix_is_one(tmp_path):
    write_index(tmp_path, rows('ab'))
    (tmp_path / '0.png').rename(tmp_path / 'x')
    index = tmp_path / 'index.csv'
    index.write_text(index.read_text().replace('0.png', 'x'))
    assert [image.name for image in read_csv(tmp_path).images] == ['x', '1.png']


def test_a_quote_that_does_not_end_is_said(tmp_path):
    write_index(tmp_path, rows('ab'))
    index = tmp_path / 'index.csv'
    index.write_text('"' + index.read_text() + 'x' * 200_000)
    with pytest.raises(ValueError, match=r'index\.csv is no CSV file'):
        read_csv(tmp_path)


def test_a_file_in_two_spellings_is_listed_twice(tmp_path):
    write_index(tmp_path, [*rows('ab'), {'file': './0.png', 'label': 'b'}])
    with pytest.raises(ValueError, match=r"lists '0\.png' more than once"):
        plan_dataset(read_csv(tmp_path))


def test_what_the_index_does_not_list_is_counted(tmp_path):
    write_index(tmp_path, [*rows('ab'), {'file': 'images/x.png', 'label': 'a'}])
    lines = (tmp_path / 'index.csv').read_text().splitlines()
    (tmp_path / 'index.csv').write_text('\n'.join(lines[:-1]))
    (tmp_path / 'notes.txt').write_text('')
    found = read_csv(tmp_path).left_out
    assert {reason: list(map(str, files)) for reason, files in found.items()} == {
        'images that index.csv does not list': ['images/x.png'],
        'files that are no images (.txt)': ['notes.txt'],
    }


@pytest.mark.parametrize(('separator', 'name'), [(';', 'semicolons'), ('\t', 'tabs')])
def test_other_separators_are_named(tmp_path, separator, name):
    """As a spreadsheet writes them in many countries."""
    (tmp_path / 'index.csv').write_text(f'file{separator}label\na.png{separator}a\n')
    with pytest.raises(ValueError, match=f'has {name} between its columns'):
        read_csv(tmp_path)


def test_unknown_groups_are_no_group(tmp_path):
    groups = ['nan', '#N/A', '', 'p1', 'nan', 'p1']
    source = read_csv(write_index(tmp_path, rows('ababab', group=groups)))
    assert [image.group for image in source.images] == ['', '', '', 'p1', '', 'p1']
    (sentence,) = source.unsure
    assert sentence.startswith("the group of 4 of 6 images is unknown ('nan' 2, ")
    dataset = CSVDataset(str(tmp_path))
    assert dataset.get_groups() == ['0.png', '1.png', '2.png', 'p1', '4.png', 'p1']


def test_unknown_groups_in_two_splits_leak_nothing(tmp_path):
    splits = ['train', 'test', 'train', 'test']
    index = rows('aabb', group=['nan'] * 4, split=splits)
    assert len(CSVDataset(str(write_index(tmp_path, index)), 'train')) == 2


def test_usual_names_of_splits_are_taken_and_said(tmp_path):
    splits = ['Train', 'training', 'validation', 'TEST', 'train', 'Train']
    source = read_csv(write_index(tmp_path, rows('ababab', split=splits)))
    found = [image.split for image in source.images]
    assert found == ['train', 'train', 'val', 'test', 'train', 'train']
    assert "'training' as train" in source.unsure[0]
    assert "'validation' as val" in source.unsure[0]


def test_training_does_not_drop_splits_of_another_spelling(tmp_path):
    splits = ['train', 'training', 'val', 'test']
    write_index(tmp_path, rows('abab', split=splits))
    with pytest.raises(ValueError, match="'training' must be written 'train'"):
        CSVDataset(str(tmp_path), 'train').full_init()


def test_other_splits_are_refused(tmp_path):
    write_index(tmp_path, rows('ab', split=['train', 'holdout']))
    with pytest.raises(ValueError, match="has 'holdout', expected train, val and test"):
        read_csv(tmp_path)


@pytest.mark.parametrize('form', ['NFC', 'NFD'])
def test_file_names_of_another_unicode_form_are_found(tmp_path, form):
    other = dict(NFC='NFD', NFD='NFC')[form]
    names = [f'été {n}.png' for n in range(3)]
    on_disk = [{'file': unicodedata.normalize(form, n), 'label': 'a'} for n in names]
    write_index(tmp_path, on_disk)
    index = ''.join(f'{unicodedata.normalize(other, name)},a\n' for name in names)
    (tmp_path / 'index.csv').write_text(f'file,label\n{index}', encoding='utf-8')
    source = read_csv(tmp_path)
    assert all(image.path.is_file() for image in source.images)
    assert '3 file names have another Unicode form' in source.unsure[0]


def test_long_codes_as_labels_are_class_names(tmp_path):
    """SNOMED codes: a list of all numbers below them does not fit in memory."""
    codes = ['38341003', '73211009'] * 10
    write_index(tmp_path / 'src', rows(codes))
    source = read_csv(tmp_path / 'src')
    assert source.classes == ('38341003', '73211009')
    write_dataset(source, tmp_path / 'out')
    for folder in ('src', 'out'):
        dataset = CSVDataset(str(tmp_path / folder))
        assert source.classes == dataset.CLASSES
        assert sorted(set(dataset.get_gt_labels())) == [0, 1]


def test_a_doubled_slash_stays_inside(tmp_path):
    """As "images/" & "/1.png" makes in a spreadsheet; a path may follow it."""
    outside = tmp_path / 'outside' / '0.png'
    outside.parent.mkdir()
    outside.write_text('precious')
    src = tmp_path / 'src'
    listed = [f'images/{outside}', 'images//a/1.png', 'images/a//2.png', './3.png']
    write_index(
        src,
        [{'file': f, 'label': label} for f, label in zip(listed, 'abab', strict=True)],
    )
    plan = plan_dataset(read_csv(src))
    inside = str(outside)[1:]
    assert list(plan.names) == [inside, 'a/1.png', 'a/2.png', '3.png']
    write_dataset(read_csv(src), tmp_path / 'out')
    assert outside.read_text() == 'precious'
    assert (tmp_path / 'out/images' / inside).is_file()


@pytest.mark.parametrize('name', ['/etc/a.png', '../a.png'])
def test_no_name_leaves_the_images(tmp_path, name):
    write_index(tmp_path, rows('abab'))
    source = read_csv(tmp_path)
    first, *others = source.images
    source = replace(source, images=[replace(first, name=name), *others])
    with pytest.raises(ValueError, match='would be written outside of the data set'):
        plan_dataset(source)


def test_two_files_of_one_name_are_not_one(tmp_path):
    table = rows('abab')
    table[1]['file'] = 'images/0.png'
    write_index(tmp_path, table)
    with pytest.raises(
        ValueError, match=r'0\.png and .*0\.png would both be written as'
    ):
        plan_dataset(read_csv(tmp_path))


@pytest.mark.parametrize('top', ['', 'brain/', 'images/a/b/'])
def test_splits_in_paths_are_said_at_any_depth(tmp_path, top):
    table = [
        {'file': f'{top}{split}/{label}/{n}.png', 'label': label}
        for split in ('Training', 'Testing', 'extra')
        for label in 'ab'
        for n in range(2)
    ]
    write_index(tmp_path, table)
    (sentence,) = read_csv(tmp_path).unsure
    assert sentence.startswith('images are in folders Testing, Training: add a column')


def test_a_description_of_others_says_nothing(tmp_path):
    write_index(tmp_path, rows('ab', split=['train', 'test']))
    content = '{"classes": ["a", "b"], "split": {"train": 0.8}, "source": 3}'
    (tmp_path / 'dataset.json').write_text(content)
    source = read_csv(tmp_path)
    assert source.origin_of_split == '' and source.origin == 'unknown'


@pytest.mark.parametrize('file', ['images/', '.', './'])
def test_a_cell_that_names_a_folder(tmp_path, file):
    write_index(tmp_path, rows('ab'))
    (tmp_path / 'images').mkdir()
    with open(tmp_path / 'index.csv', 'a') as opened:
        opened.write(f'{file},a\n')
    with pytest.raises((FileNotFoundError, ValueError), match=r'is missing|no image'):
        plan_dataset(read_csv(tmp_path))


@pytest.mark.parametrize('file', ['0', '0.jpg'])
def test_a_file_of_another_suffix_is_named(tmp_path, file):
    write_index(tmp_path, rows('ab'))
    (tmp_path / 'index.csv').write_text(f'file,label\n{file},a\n1.png,b\n')
    with pytest.raises(FileNotFoundError, match=r'There is 0\.png: is it meant'):
        read_csv(tmp_path)


def with_splits(folder, **numbers):
    """Write images of a and b in splits, and return the source."""
    splits = [split for split, n in numbers.items() for _ in range(n) for _ in 'ab']
    write_index(folder, rows('ab' * (len(splits) // 2), split=splits))
    return read_csv(folder)


def test_a_split_for_calibration_is_kept_apart(tmp_path):
    source = with_splits(tmp_path, train=9, val=3, test=3, cal=3)
    with pytest.raises(ValueError, match='has a split cal: --folds needs'):
        plan_dataset(source, folds=3)
    with pytest.raises(ValueError, match='has a split cal already'):
        plan_dataset(source, calibration=0.2)
    plan = plan_dataset(source, folds=3, keep_test=True)
    apart = [split == 'cal' for split in plan.columns['split']]
    assert sum(apart) == 6
    for fold in range(3):
        column = plan.columns[f'fold{fold}']
        assert [split == 'cal' for split in column] == apart


def test_no_test_images_cannot_be_kept(tmp_path):
    source = with_splits(tmp_path, train=9, val=3)
    with pytest.raises(ValueError, match='has no test images to keep'):
        plan_dataset(source, folds=3, keep_test=True)


def test_a_group_in_two_splits_has_an_advice(tmp_path):
    table = rows('abab', group='ppqr', split=['train', 'test', 'train', 'test'])
    write_index(tmp_path, table)
    with pytest.raises(ValueError, match=r'the first, p, .* or use --split group'):
        plan_dataset(read_csv(tmp_path))


def test_thousands_of_names_make_no_endless_message(tmp_path):
    names = [str(n) for n in range(300)]
    groups = names + [f'{n}.0' for n in names]
    write_index(tmp_path, rows('ab' * 300, group=groups))
    with pytest.raises(ValueError, match='; and 290 more') as error:
        read_csv(tmp_path)
    assert len(str(error.value)) < 2000


def test_a_small_share_takes_nothing_of_a_rare_class():
    labels = np.repeat([0, 1], [100, 6])
    groups = [f'g{n}' for n in range(106)]
    splits, _ = with_calibration(labels, groups, ['train'] * 106, 0.05, 0, 'xy')
    assert [splits[n] for n in range(100, 106)] == ['train'] * 6
    assert 'cal' in splits


def test_patients_of_a_rare_class_leave_calibration_images_of_the_others():
    """Nine patients with both common classes, of which two have the rare one, too."""
    labels, groups = [], []
    for patient in range(9):
        own = [0, 1] + [2] * (patient % 4 == 0)
        labels += own
        groups += [f'p{patient}'] * len(own)
    for seed in range(5):
        splits, said = with_calibration(
            np.array(labels), groups, ['train'] * len(labels), 0.2, seed, 'xyz'
        )
        moved = {g for g, split in zip(groups, splits, strict=True) if split == 'cal'}
        assert 1 <= len(moved) <= 3 and not moved & {'p0', 'p4', 'p8'}
        assert [line[:5] for line in said] == ['z has']
    with pytest.raises(ValueError, match=r'0\.2 moves no group: .*Try a larger'):
        with_calibration(
            np.repeat([0, 1, 2, 3], [8, 4, 4, 0]),
            [f'p{n}' for n in range(8)] * 2,
            ['train'] * 16,
            0.2,
            0,
            'xyz',
        )


# Groups to train on of the classes, and how many of them --calibration takes.
TAKEN = {
    (40, 5): (12, 2),  # 0.3 of 5
    (40, 4): (12, 0),
    (40, 1): (12, 0),
    (6, 2): (2, 0),
}


@pytest.mark.parametrize(('groups', 'taken'), TAKEN.items())
def test_rare_classes_are_trained_on_before_they_calibrate(tmp_path, groups, taken):
    labels = ''.join(n * name for n, name in zip(groups, 'ab', strict=True))
    splits = ['train'] * len(labels) + ['val', 'val', 'test', 'test']
    write_index(tmp_path, rows(labels + 'abab', split=splits))
    plan = plan_dataset(read_csv(tmp_path), calibration=0.3)
    found = plan.counts['cal']
    assert (found['a'], found['b']) == taken
    said = [text for text in plan.warnings if text.startswith('b has')]
    if taken[1]:
        assert said == []
    else:
        (text,) = said
        assert f'b has {groups[1]} groups to train on: 0.0% of its images are' in text


def test_too_few_groups_to_calibrate(tmp_path):
    source = with_splits(tmp_path, train=4, val=2, test=2)
    with pytest.raises(ValueError, match='--calibration needs a class with at least 5'):
        plan_dataset(source, calibration=0.3)


def test_classes_of_fewer_groups_than_folds_are_said(tmp_path):
    write_index(tmp_path, rows('a' * 30 + 'bbb'))
    warnings = plan_dataset(read_csv(tmp_path), folds=10).warnings
    assert 'b has 3 groups: it is tested in 3 of 10 folds' in warnings
    assert not any(text.startswith('a has') for text in warnings)
