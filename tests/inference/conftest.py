"""Two trained classifiers of tiny images, and the images."""

import csv

import pytest
from mmengine.config import Config
from mmpretrain.registry import MODELS

from mmimbal.files.checkpoint import load_from_local
from mmimbal.files.work_dir import find_checkpoint
from tests.conftest import rows_of, tiny_digits, train, write_index
from tests.tools import explain

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


def plain_model(work_dir):
    """Return the trained model of a work dir, and its config."""
    cfg = Config.fromfile(next(work_dir.glob('*.py')))
    model = MODELS.build(cfg.model)
    checkpoint = load_from_local(find_checkpoint(str(work_dir)))
    model.load_state_dict(checkpoint['state_dict'])
    return model.eval(), cfg


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


@pytest.fixture(scope='session')
def calibrated(members, data, tmp_path_factory):
    """A published model, calibrated on another data set of the same classes."""
    folder = tmp_path_factory.mktemp('calibrated')
    assert explain('publish', members / 'fold0', folder / 'plain' / 'x.pth') is None
    rows = rows_of(CLASSES, dict(cal=30))
    cal = write_index(tmp_path_factory.mktemp('cal') / 'own', rows, size=8)
    flags = ['--out', folder / 'y.pth', '--sensitivity', 'a=0.5', '--sets', '0.7']
    assert explain('calibrate', folder / 'plain' / 'x.pth', cal, *flags) is None
    return folder, cal


def read_table(file):
    with open(file, newline='', encoding='utf-8') as opened:
        return list(csv.DictReader(opened))
