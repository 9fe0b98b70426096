import pytest

from mmimbal.datasets.spelling import (
    check_near_equal,
    classes_of,
    is_unknown,
    spelling_key,
    split_of,
)


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('train', 'train'),
        ('TRAIN', 'train'),
        (' Training_Set ', 'train'),
        ('valid', 'val'),
        ('Validation', 'val'),
        ('test', 'test'),
        ('Testing', 'test'),
        ('TEST_SIMPLE', None),
        ('trainset', 'train'),
        ('TrainData', 'train'),
        ('test2017', 'test'),
        ('val_images', 'val'),
        ('test1', None),
        ('dataset', None),
        ('set', None),
        ('contest', None),
        ('nv', None),
    ],
)
def test_usual_names_of_splits(name, expected):
    assert split_of(name) == expected


def test_names_are_compared_without_what_people_overlook():
    assert spelling_key(' NV ') == spelling_key('nv')
    assert len({spelling_key(f'no{by}tumor') for by in ('_', '-', '  ')}) == 1
    assert spelling_key('no_tumor') == spelling_key('No-Tumor')
    assert spelling_key('e\u0301te') == spelling_key('\u00e9te')
    assert spelling_key('nv') != spelling_key('nv2')
    assert spelling_key('HER2-') != spelling_key('HER2')
    assert spelling_key('-1') != spelling_key('1')


@pytest.mark.parametrize(
    ('name', 'expected'),
    [('01', '1'), ('1.0', '1'), ('10', '10'), ('0', '0'), ('1.5', '1.5'), ('a1', 'a1')],
)
def test_numbers_are_compared_by_value(name, expected):
    assert spelling_key(name) == expected


def test_invisible_characters_are_overlooked():
    assert spelling_key('n\u200bv\ufeff') == 'nv'


def test_near_equal_names_are_listed_with_their_numbers():
    names = ['nv'] * 3 + ['nv '] * 2 + ['NV', 'mel', 'e\u0301', '\u00e9']
    with pytest.raises(ValueError, match='labels that differ only') as error:
        check_near_equal(names, 'labels', 'index.csv')
    message = str(error.value)
    assert "'NV' (1 images) and 'nv ' (2 images) and 'nv' (3 images)" in message
    assert 'mel' not in message and message.startswith('index.csv: ')
    check_near_equal(['nv', 'mel', 'nv'], 'labels', 'index.csv')


@pytest.mark.parametrize('cell', ['', ' ', 'nan', 'NaN', 'NA', 'n/a', 'None', '?', '-'])
def test_cells_that_say_nothing(cell):
    assert is_unknown(cell) and not is_unknown(f'{cell}1')


@pytest.mark.parametrize(
    ('labels', 'expected'),
    [
        (['b', 'a'], ('a', 'b')),
        (['0', '2'], ('0', '1', '2')),
        (['a', '1'], ('1', 'a')),
        (['73211009', '38341003'], ('38341003', '73211009')),
        (['9', '10'], tuple(map(str, range(11)))),
    ],
)
def test_numbers_are_indices_unless_they_are_codes(labels, expected):
    assert classes_of(labels) == expected
