"""Configs of datasets are looked through."""

from pathlib import Path

import pytest

from mmimbal.files.dataset_config import index_of, innermost

INNER = dict(type='CSVDataset', split='train', pipeline=[])


@pytest.mark.parametrize(
    'cfg',
    [
        INNER,
        dict(type='RepeatDataset', times=2, dataset=INNER),
        dict(type='ConcatDataset', datasets=[INNER, dict(type='Other')]),
        dict(
            type='RepeatDataset', dataset=dict(type='ConcatDataset', datasets=[INNER])
        ),
    ],
)
def test_the_first_inside_of_wrappers(cfg):
    assert innermost(cfg, 'split', first_of_several=True) is INNER


def test_one_of_several_is_not_changed_alone():
    cfg = dict(type='ConcatDataset', datasets=[INNER, dict(INNER)])
    assert innermost(cfg, 'split') is cfg


def test_the_outer_one_wins_and_the_innermost_if_none_has_the_key():
    outer = dict(type='Wrapper', split='val', dataset=INNER)
    assert innermost(outer, 'split') is outer
    assert innermost(dict(type='Wrapper', dataset=INNER), 'folds') is INNER


@pytest.mark.parametrize(
    ('cfg', 'index'),
    [
        (dict(type='mmimbal.CSVDataset', data_root='d'), 'd/index.csv'),
        (dict(type='mmimbal.CSVDataset', data_root='d', ann_file='a.csv'), 'd/a.csv'),
        (
            dict(type='ImageNet', data_root='d', ann_file='meta/train.txt'),
            'd/index.csv',
        ),
        (dict(type='mmimbal.DigitsLT'), None),  # not that of the current folder
        (dict(type='mmimbal.CSVDataset'), None),
        ({}, None),
    ],
)
def test_the_index_of_a_dataset(cfg, index):
    index = index and Path(index)
    assert index_of(cfg) == index
    assert index_of(dict(type='RepeatDataset', dataset=cfg)) == index
    assert index_of(dict(type='ConcatDataset', datasets=[cfg, cfg])) == index
