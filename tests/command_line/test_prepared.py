"""Any folder of tools/prepare_dataset.py is a data set, without a file in configs/."""

import json
from pathlib import Path

import pytest

from mmimbal.command_line.compose import compose
from mmimbal.command_line.experiment import parse_experiment
from mmimbal.command_line.prepared import data_folder


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Two prepared data sets, of five and of two classes."""
    monkeypatch.setenv('MMIMBAL_DATA', str(tmp_path))
    for word, classes in (('skin', 'abcde'), ('own', 'ab')):
        (tmp_path / word).mkdir()
        (tmp_path / word / 'index.csv').write_text('file,label\n')
        described = json.dumps(dict(classes=list(classes)))
        (tmp_path / word / 'dataset.json').write_text(described)
    return tmp_path


@pytest.mark.parametrize(('word', 'classes'), [('skin', 5), ('own', 2)])
@pytest.mark.parametrize('rest', ['triplet', 'bcl_views', 'triplet/crt', 'none/vs'])
def test_its_folder_and_classes_are_in_the_config(data, word, classes, rest):
    cfg = compose(parse_experiment(f'{word}/64px/{rest}'))
    assert cfg.model.head.num_classes == classes
    for split in ('train', 'val', 'test'):
        root = cfg[f'{split}_dataloader'].dataset.data_root
        assert root == str(data / word)
    assert cfg.work_dir.startswith(f'work_dirs/{word}/')


def test_changed_classes_are_read_again(data):
    parse_experiment('skin/64px/ce')
    described = json.dumps(dict(classes=['a', 'b', 'c']))
    (data / 'skin' / 'dataset.json').write_text(described)
    assert compose(parse_experiment('skin/64px/ce')).model.head.num_classes == 3


def test_without_its_folder_own_is_the_base(monkeypatch, tmp_path):
    monkeypatch.setenv('MMIMBAL_DATA', str(tmp_path))
    assert compose(parse_experiment('own/64px/ce')).model.head.num_classes == 3


def test_a_folder_that_was_not_prepared_is_unknown(data):
    (data / 'raw').mkdir()
    with pytest.raises(ValueError, match='no raw in datasets'):
        parse_experiment('raw/64px/ce')


def test_a_broken_description_is_named(data):
    (data / 'skin' / 'dataset.json').write_text('{}')
    with pytest.raises(ValueError, match=r'dataset\.json must name the classes'):
        parse_experiment('skin/64px/ce')


def test_an_empty_variable_counts_as_not_set(monkeypatch):
    monkeypatch.setenv('MMIMBAL_DATA', '')
    assert data_folder('own') == Path('data/own')
