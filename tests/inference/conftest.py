"""Two trained classifiers of tiny images, and the images."""

import csv

import pytest
from mmengine.config import Config

from tests.conftest import rows_of, tiny_digits, train, write_index

CLASSES = ['a', 'b', 'c']
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='CenterCrop', crop_size=8),
    dict(type='PackInputs'),
]


def config_of(folder, work_dir, seed) -> Config:
    cfg = tiny_digits('stage1_ce', work_dir, train_cfg__max_epochs=1)
    cfg.model.head.num_classes = len(CLASSES)
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].dataset = dict(
            type='mmimbal.CSVDataset',
            data_root=str(folder),
            split=split,
            test_mode=split != 'train',
            pipeline=PIPELINE,
        )
    for split in ('val', 'test'):
        cfg[f'{split}_evaluator'] = dict(type='mmimbal.ImbalanceMetric')
    cfg.randomness = dict(seed=seed)
    return cfg


@pytest.fixture(scope='session')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data') / 'own'
    return write_index(folder, rows_of(CLASSES, dict(train=8, val=3, test=5)), size=8)


@pytest.fixture(scope='session')
def members(data, tmp_path_factory):
    """The folder of a cross-validation with two trained folds."""
    folder = tmp_path_factory.mktemp('cv')
    for seed in (0, 1):
        train(config_of(data, folder / f'fold{seed}', seed))
    return folder


def read_table(file):
    with open(file, newline='', encoding='utf-8') as opened:
        return list(csv.DictReader(opened))
