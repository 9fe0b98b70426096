import csv
import json

import cv2
import numpy as np
import pytest
from PIL import Image

from mmimbal.datasets import CSVDataset, get_class_counts
from mmimbal.datasets.checking.check_result import file_hash
from mmimbal.datasets.index_file import read_index
from mmimbal.files.errors import ImageFileError
from tests.conftest import rows_of, write_index


def test_reads_a_split(folder):
    dataset = CSVDataset(str(folder), split='val')
    assert dataset.CLASSES == ('a', 'b', 'c')
    assert get_class_counts(dataset).tolist() == [2, 2, 2]
    item = dataset.get_data_info(0)
    assert item['img_path'] == str(folder / 'images/val_a_0.png')
    assert (item['gt_label'], item['group']) == (0, 'val_a_0')


def test_all_rows_without_a_split(folder):
    assert len(CSVDataset(str(folder))) == 24


def test_classes_come_from_the_json(folder):
    (folder / 'dataset.json').write_text(json.dumps({'classes': ['c', 'b', 'a']}))
    dataset = CSVDataset(str(folder), split='val')
    assert dataset.CLASSES == ('c', 'b', 'a')
    assert dataset.get_data_info(0)['gt_label'] == 2


def test_classes_of_the_config_must_be_those_of_the_json(folder):
    (folder / 'dataset.json').write_text(json.dumps({'classes': ['a', 'b', 'c']}))
    with pytest.raises(ValueError, match=r'b, a, c.*a, b, c'):
        CSVDataset(str(folder), metainfo=dict(classes=['b', 'a', 'c']))


def test_integer_labels_mean_indices(tmp_path):
    rows = [{'file': f'{n}.png', 'label': str(n % 11)} for n in range(22)]
    dataset = CSVDataset(str(write_index(tmp_path, rows)))
    assert tuple(map(str, range(11))) == dataset.CLASSES
    assert dataset.get_gt_labels().tolist() == [n % 11 for n in range(22)]


def test_byte_order_mark_quotes_and_commas(tmp_path):
    rows = [{'file': f'{n}.png', 'label': 'a, "b"'} for n in range(2)]
    index = write_index(tmp_path, rows) / 'index.csv'
    index.write_bytes(b'\xef\xbb\xbf' + index.read_bytes())
    assert CSVDataset(str(tmp_path)).CLASSES == ('a, "b"',)


def test_missing_folder_says_how_to_make_one(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'prepare_dataset\.py'):
        CSVDataset(str(tmp_path / 'nothing'))


def test_missing_image_is_named(folder):
    (folder / 'images/train_b_1.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'1 of the 12 .*train_b_1\.png'):
        CSVDataset(str(folder), split='train')


@pytest.mark.parametrize('column', ['file', 'label'])
def test_missing_column_is_named(folder, column):
    index = folder / 'index.csv'
    index.write_text(index.read_text().replace(column, 'other', 1))
    with pytest.raises(
        ValueError, match=f'no column {column}; its columns are: .*other'
    ):
        CSVDataset(str(folder))


def test_missing_split_column_is_named(tmp_path):
    write_index(tmp_path, [{'file': 'x.png', 'label': 'a'}])
    with pytest.raises(ValueError, match='no column split'):
        CSVDataset(str(tmp_path), split='train')


def test_unknown_split_lists_the_others(folder):
    with pytest.raises(ValueError, match=r"no split 'dev'; there are: test, train"):
        CSVDataset(str(folder), split='dev')


@pytest.mark.parametrize('label', ['d', '3', '-1'])
def test_unknown_label_is_named(folder, label):
    (folder / 'dataset.json').write_text(json.dumps({'classes': ['a', 'b', 'c']}))
    index = folder / 'index.csv'
    index.write_text(
        index.read_text().replace('train_a_0.png,a', f'train_a_0.png,{label}')
    )
    with pytest.raises(ValueError, match=rf"no class: '{label}'.*train_a_0\.png"):
        CSVDataset(str(folder))


def test_empty_class_in_training_is_named(tmp_path):
    rows = rows_of(['a', 'b'], {'train': 1}) + rows_of(['a', 'b', 'c'], {'val': 1})
    write_index(tmp_path, rows)
    with pytest.raises(ValueError, match='no training image of class c in split'):
        CSVDataset(str(tmp_path), split='train')
    assert len(CSVDataset(str(tmp_path), split='train', test_mode=True)) == 2


def test_empty_index_is_an_error(tmp_path):
    (tmp_path / 'index.csv').write_text('file,label\n')
    with pytest.raises(ValueError, match='no rows'):
        CSVDataset(str(tmp_path))


@pytest.mark.parametrize('file', ['/etc/passwd', '../outside.png', 'a/../../b.png'])
def test_paths_that_leave_the_folder_are_refused(tmp_path, file):
    (tmp_path / 'index.csv').write_text(f'file,label\n{file},a\n')
    with pytest.raises(ValueError, match='outside its own folder'):
        CSVDataset(str(tmp_path))


def test_one_image_has_one_name(tmp_path):
    """Spelled in two ways, it could be in two splits."""
    rows = [dict(file=f'x/{n}.png', label='ab'[n], split='train') for n in (0, 1)]
    folder = write_index(tmp_path, rows)
    index = folder / 'index.csv'
    text = index.read_text()
    for other in ('./x/0.png', 'x//0.png', 'x/./0.png', './/x/0.png'):
        index.write_text(f'{text}{other},a,val\n')
        with pytest.raises(ValueError, match=r"lists 'x/0.png' more than once"):
            CSVDataset(str(folder), 'train')
        index.write_text(text.replace('x/0.png', other))
        dataset = CSVDataset(str(folder), 'train')
        assert dataset[0]['img_path'] == str(folder / 'x/0.png')


def test_row_without_a_label_is_named(tmp_path):
    (tmp_path / 'index.csv').write_text('file,label\nx.png,a\ny.png\n')
    with pytest.raises(
        ValueError, match=r'index\.csv is no CSV .* Expected 2 columns, got 1: y\.png'
    ):
        CSVDataset(str(tmp_path))


def test_another_encoding_is_named(tmp_path):
    (tmp_path / 'index.csv').write_bytes('file,label\nx.png,é\n'.encode('latin-1'))
    with pytest.raises(ValueError, match=r'not in UTF-8: .* byte 0xe9 in position 17'):
        CSVDataset(str(tmp_path))


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'no column file, label; its columns are: none'),
        ('file,label,label\nx.png,a,b\n', 'names a column twice'),
        ('file,label\nx.png,a, b\n', 'Expected 2 columns, got 3: x.png,a, b'),
        ('file,label\nx.png,a\nx.png,b\n', r"lists 'x\.png' more than once"),
        ('file,label\n,a\n', 'no file in row 2'),
    ],
)
def test_a_broken_index_is_explained(tmp_path, text, message):
    (tmp_path / 'index.csv').write_text(text)
    with pytest.raises(ValueError, match=message):
        CSVDataset(str(tmp_path))


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{"classes": ["a"', 'is not a complete JSON file'),
        ('{}', 'must name the classes'),
        ('[]', 'must name the classes'),
        ('{"classes": "abc"}', 'must name the classes'),
        ('{"classes": []}', 'must name the classes'),
        ('{"classes": [1, 2, 3]}', r'it holds \{"classes": \[1, 2, 3\]\}'),
        ('{"classes": ["a", "b", "a"]}', 'each once'),
    ],
)
def test_a_broken_description_is_explained(folder, text, message):
    (folder / 'dataset.json').write_text(text)
    with pytest.raises(ValueError, match=rf'dataset\.json .*{message}'):
        CSVDataset(str(folder))


def test_subsets_are_those_of_mmengine(folder):
    whole = CSVDataset(str(folder), test_mode=True)
    files = [whole.get_data_info(i)['img_path'] for i in range(24)]
    for indices, expected in (
        (5, files[:5]),
        (-5, files[-5:]),
        ([3, 1, 7], [files[i] for i in (3, 1, 7)]),
    ):
        part = CSVDataset(str(folder), indices=indices, test_mode=True)
        found = [part.get_data_info(i)['img_path'] for i in range(len(part))]
        assert found == expected
        again = whole.get_subset(indices)
        assert [again[i]['img_path'] for i in range(len(again))] == expected
        assert again.get_gt_labels().tolist() == part.get_gt_labels().tolist()
        assert again.get_groups() == part.get_groups()
    assert len(whole) == 24 and whole.get_data_info(-1)['sample_idx'] == 23


def test_numbers_that_are_no_names_are_indices(tmp_path):
    rows = [{'file': f'{n}.png', 'label': str(n)} for n in range(3)]
    write_index(tmp_path, rows)
    (tmp_path / 'dataset.json').write_text(json.dumps({'classes': ['1', '2', '3']}))
    assert CSVDataset(str(tmp_path)).get_gt_labels().tolist() == [0, 1, 2]
    index = tmp_path / 'index.csv'
    index.write_text(index.read_text().replace('0.png,0', '0.png,3'))
    assert CSVDataset(str(tmp_path)).get_gt_labels().tolist() == [2, 0, 1]


@pytest.mark.parametrize('split', ['train', 'val', None])
def test_names_or_indices_are_told_from_all_rows(tmp_path, split):
    """The labels of val alone could be names as well."""
    rows = [
        {'file': f'{part}{n}.png', 'label': str(n), 'split': part}
        for part, labels in (('train', (0, 1, 2)), ('val', (1, 2)))
        for n in labels
    ]
    write_index(tmp_path, rows)
    (tmp_path / 'dataset.json').write_text(json.dumps({'classes': ['1', '2', '3']}))
    found = CSVDataset(str(tmp_path), split, test_mode=True)
    for item in found.data_list:
        assert item['img_path'].endswith(f'{item["gt_label"]}.png')


def test_a_group_in_two_splits_is_named(folder):
    index = folder / 'index.csv'
    text = index.read_text()
    index.write_text(text.replace('val_b_1,val', 'train_a_2,val'))
    with pytest.raises(ValueError, match=r'split: 1 groups .* train_a_2, is in train'):
        CSVDataset(str(folder), 'train')
    assert len(CSVDataset(str(folder), 'train', shared_groups=True)) == 12
    assert len(CSVDataset(str(folder))) == 24
    index.write_text(text.replace('train_a_2,train', ',train').replace('val_b_1', ''))
    assert len(CSVDataset(str(folder), 'train')) == 12  # each is a group of its own


@pytest.mark.parametrize('option', [dict(data_prefix='x'), dict(serialize_data=True)])
def test_options_that_would_do_nothing_are_refused(folder, option):
    with pytest.raises(ValueError, match=f'takes no {next(iter(option))}'):
        CSVDataset(str(folder), 'train', **option)


def test_empty_group_is_the_image_itself(tmp_path):
    rows = [{'file': f'{n}.png', 'label': 'a', 'group': ''} for n in range(2)]
    dataset = CSVDataset(str(write_index(tmp_path, rows)))
    assert dataset.get_groups() == ['0.png', '1.png']


def test_another_column_of_splits(folder):
    index = folder / 'index.csv'
    header, *rows = index.read_text().splitlines()
    rows = [f'{row},{"test" if n % 2 else "train"}' for n, row in enumerate(rows)]
    index.write_text('\n'.join([f'{header},fold0', *rows]) + '\n')
    dataset = CSVDataset(str(folder), split='test', split_column='fold0')
    assert len(dataset) == 12
    with pytest.raises(ValueError, match='no column fold1'):
        CSVDataset(str(folder), split='test', split_column='fold1')


LOAD = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]


def test_a_broken_image_is_named(folder):
    broken = folder / 'images/train_b_1.png'
    broken.write_bytes(b'')
    dataset = CSVDataset(str(folder), split='train', pipeline=LOAD)
    with pytest.raises(ImageFileError, match=r'train_b_1\.png cannot be loaded'):
        [dataset[index] for index in range(len(dataset))]


def test_a_fault_of_a_transform_is_not_one_of_the_image(folder):
    pipeline = [LOAD[0], lambda results: results['img'] / 'x']
    dataset = CSVDataset(str(folder), split='train', pipeline=pipeline)
    with pytest.raises(RuntimeError, match='cannot be loaded: TypeError') as caught:
        dataset[0]
    assert not isinstance(caught.value, ImageFileError)


def test_a_broken_image_is_skipped_aloud(folder, messages):
    for number in (1, 2):
        (folder / f'images/train_b_{number}.png').write_bytes(b'no image')
    dataset = CSVDataset(str(folder), 'train', pipeline=LOAD, on_error='skip')
    for _ in range(2):
        items = [dataset[index] for index in range(len(dataset))]
    files = [item['data_samples'].img_path.rsplit('/')[-1] for item in items]
    assert files[4:8] == [f'train_b_{n}.png' for n in (0, 3, 3, 3)]
    labels = [int(item['data_samples'].gt_label) for item in items]
    assert labels == dataset.get_gt_labels().tolist()
    skipped = [text for text in messages if 'is skipped' in text]
    assert len(skipped) == 2 and '2 images so far' in skipped[1]


def test_a_class_of_many_broken_images(tmp_path, messages):
    rows = [{'file': f'{n}.png', 'label': 'a'} for n in range(1200)]
    write_index(tmp_path, rows, size=1)
    for n in range(1199):
        (tmp_path / f'{n}.png').write_bytes(b'')
    dataset = CSVDataset(str(tmp_path), pipeline=LOAD, on_error='skip')
    assert dataset[0]['data_samples'].img_path.endswith('/1199.png')
    assert len(messages) >= 1199


def test_in_tests_every_image_counts(folder):
    (folder / 'images/test_a_0.png').write_bytes(b'no image')
    dataset = CSVDataset(
        str(folder), 'test', pipeline=LOAD, on_error='skip', test_mode=True
    )
    with pytest.raises(RuntimeError, match=r'test_a_0\.png cannot be loaded'):
        dataset[0]


def test_a_class_that_cannot_be_loaded(folder):
    for number in range(4):
        (folder / f'images/train_b_{number}.png').write_bytes(b'no image')
    dataset = CSVDataset(str(folder), 'train', pipeline=LOAD, on_error='skip')
    with pytest.raises(RuntimeError, match='no image of class 1 can be loaded'):
        dataset[5]
    with pytest.raises(ValueError, match="on_error='ignore' must be"):
        CSVDataset(str(folder), 'train', on_error='ignore')


def test_images_of_every_kind_are_loaded_as_colour(tmp_path):
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(grey).save(tmp_path / 'grey.png')
    cv2.imwrite(str(tmp_path / 'deep.png'), grey.astype(np.uint16) * 257)
    Image.fromarray(grey).convert('CMYK').save(tmp_path / 'cmyk.jpg')
    wide = Image.fromarray(np.repeat(grey, 2, axis=1))
    turned = Image.Exif()
    turned[274] = 6  # to be turned by 90 degrees
    wide.save(tmp_path / 'turned.jpg', exif=turned)
    files = ['cmyk.jpg', 'deep.png', 'grey.png', 'turned.jpg']
    text = ''.join(f'{file},a\n' for file in files)
    (tmp_path / 'index.csv').write_text(f'file,label\n{text}')
    dataset = CSVDataset(str(tmp_path), pipeline=LOAD)
    images = [item['inputs'] for item in dataset]
    assert [str(image.dtype) for image in images] == ['torch.uint8'] * 4
    assert [tuple(i.shape) for i in images] == [(3, 16, 16)] * 3 + [(3, 32, 16)]
    assert images[1].equal(images[2])


def test_a_checked_dataset_is_trusted_until_its_index_changes(folder, messages):
    report = dict(
        index=file_hash(folder / 'index.csv'), split_columns=['split'], errors=0
    )
    missing = folder / 'images/train_b_1.png'
    missing.unlink()
    (folder / 'check.json').write_text(json.dumps(report))
    assert len(CSVDataset(str(folder), split='train')) == 12
    assert not messages
    with open(folder / 'index.csv', 'a') as file:
        file.write('images/train_a_0_again.png,a,x,train\n')
    with pytest.raises(FileNotFoundError, match='2 of the 13 images'):
        CSVDataset(str(folder), split='train')


@pytest.mark.parametrize(
    ('report', 'message'),
    [
        (None, 'was not checked since its index was written'),
        (
            dict(index='of another', split_columns=['split'], errors=0),
            'was not checked',
        ),
        ('another column', 'was not checked'),
        ('half a f', 'was not checked'),
        ('failed', 'has failed its check: see'),
    ],
)
def test_training_warns_of_an_unchecked_dataset(folder, messages, report, message):
    whole = dict(
        index=file_hash(folder / 'index.csv'), split_columns=['split'], errors=1
    )
    if report == 'failed':
        report = whole
    elif report == 'another column':
        report = dict(whole, split_columns=['fold0'], errors=0)
    if report:
        text = report if isinstance(report, str) else json.dumps(report)
        (folder / 'check.json').write_text(text)
    CSVDataset(str(folder), split='test', test_mode=True)
    assert not messages
    CSVDataset(str(folder), split='train')
    assert len(messages) == 1 and message in messages[0]
    assert f'tools/check_dataset.py {folder}' in messages[0]


@pytest.mark.parametrize('column', ['label', 'group', 'split'])
def test_a_missing_quotation_mark_is_named(tmp_path, column):
    """It would make one cell of all rows below."""
    rows = ['a.png,x,p0,train', 'b.png,y,p1,train', 'c.png,x,p2,train']
    cells = rows[1].split(',')
    number = ['file', 'label', 'group', 'split'].index(column)
    cells[number] = f'"{cells[number]}'
    rows[1] = ','.join(cells)
    index = tmp_path / 'index.csv'
    index.write_text('file,label,group,split\n' + '\n'.join(rows) + '\n')
    with pytest.raises(ValueError, match=r'index\.csv'):
        read_index(index)
    if column == 'split':  # the last cell: nothing else is wrong with the table
        with pytest.raises(ValueError, match=r"the split of 'b\.png' has a line break"):
            read_index(index)


REMARKS = 'file,label,note\na.png,x,ok\n'


@pytest.mark.parametrize(
    'rows',
    [
        'b.png,y,"5 mm\nc.png,x,ok\n',  # to the end of the file
        'b.png,y,"5 mm\nc.png,x,"7 mm\nd.png,x,ok\n',  # to the next one
        'b.png,y,"5 mm\nc.png,x,"ok"\n',
    ],
)
def test_a_missing_quotation_mark_of_a_remark_is_named(tmp_path, rows):
    """The rows between would be taken for a part of the remark."""
    index = tmp_path / 'index.csv'
    index.write_text(REMARKS + rows)
    with pytest.raises(ValueError, match='in the row that begins in line 3'):
        read_index(index)


def test_a_quotation_mark_of_the_header_is_named(tmp_path):
    index = tmp_path / 'index.csv'
    index.write_text('file,label,"no"te\na.png,x,"two\nlines"\n')
    assert len(read_index(index)) == 1  # it takes in no row
    index.write_text('file,label,"note\na.png,x,"two\nlines"\n')
    with pytest.raises(ValueError, match=r'index\.csv'):
        read_index(index)


def test_remarks_may_have_any_length_and_blanks_after_them(tmp_path):
    index = tmp_path / 'index.csv'
    long = f'"two\n{"o" * 200_000}"'
    index.write_text(f'{REMARKS}b.png,y,"two\nlines"\nc.png,y,"k" \nd.png,y,{long}\n')
    limit = csv.field_size_limit()
    assert len(read_index(index)) == 4 and csv.field_size_limit() == limit


def test_remarks_may_have_several_lines(tmp_path):
    index = tmp_path / 'index.csv'
    index.write_text(REMARKS + 'b.png,y,"5 mm,\n""round"", red"\nc.png,y,\n')
    assert read_index(index)['file'].to_pylist() == ['a.png', 'b.png', 'c.png']
    index.write_text(REMARKS + '"b\n.png",y,\n')
    with pytest.raises(ValueError, match=r"the file of 'b\\n\.png' has a line break"):
        read_index(index)


def test_a_split_is_one_name(folder):
    with pytest.raises(ValueError, match=r"split=\['train'\] must be the name of one"):
        CSVDataset(str(folder), split=['train'])


@pytest.mark.parametrize(
    ('split', 'where'), [(None, ''), ('train', "split 'train' of ")]
)
def test_labels_that_begin_at_1_are_explained(tmp_path, split, where):
    index = tmp_path / 'index.csv'
    index.write_text('file,label,split\na.png,1,train\nb.png,2,train\n')
    for name in 'ab':
        (tmp_path / f'{name}.png').touch()
    said = (
        rf'class 0 in {where}\S*index\.csv, whose classes are 0 to the highest number'
    )
    with pytest.raises(ValueError, match=said):
        CSVDataset(str(tmp_path), split=split)


def test_empty_columns_at_the_end_are_named(tmp_path):
    index = tmp_path / 'index.csv'
    index.write_text('file,label,,\na.png,x,,\n')
    with pytest.raises(ValueError, match=r'twice: \'\'\. Empty columns at the end'):
        read_index(index)


def test_a_split_that_is_not_there(tmp_path):
    folder = write_index(tmp_path, rows_of(['a', 'b'], dict(train=2)))
    with pytest.raises(
        ValueError, match=r'there are: train\. Train with --no-validate'
    ):
        CSVDataset(str(folder), 'val')
    with pytest.raises(ValueError, match='makes it with --calibration'):
        CSVDataset(str(folder), 'cal')


def test_links_that_lead_nowhere_are_missing_images(tmp_path):
    folder = write_index(tmp_path, rows_of(['a', 'b'], dict(train=2)))
    image = folder / 'images' / 'train_a_0.png'
    image.unlink()
    image.symlink_to(tmp_path / 'gone.png')
    with pytest.raises(FileNotFoundError, match='1 of the 4 images'):
        CSVDataset(str(folder), 'train')
