"""A run that lacks a file is refused before it starts."""

import pytest
from mmengine.config import Config

from mmimbal.command_line.missing_files import check_checkpoints, check_data


def test_only_the_data_that_are_needed_must_be_there(tmp_path):
    def loader(folder):
        images = dict(type='mmimbal.CSVDataset', data_root=str(tmp_path / folder))
        return dict(dataset=dict(type='RepeatDataset', times=2, dataset=images))

    (tmp_path / 'here').mkdir()
    (tmp_path / 'here' / 'index.csv').touch()
    cfg = Config(dict(train_dataloader=loader('here'), test_dataloader=loader('away')))
    check_data(cfg, 'train_dataloader', 'val_dataloader')
    with pytest.raises(FileNotFoundError, match=r'no dataset at .*away/index\.csv'):
        check_data(cfg, 'test_dataloader')


def test_weights_of_a_url_are_not_looked_for_on_the_disk(tmp_path):
    check_checkpoints(Config(dict(load_from='https://example.org/weights.pth')))
    with pytest.raises(FileNotFoundError, match='no checkpoint at '):
        check_checkpoints(Config(dict(load_from=str(tmp_path / 'weights.pth'))))


@pytest.mark.parametrize('kind', ['Pretrained', 'mmpretrain.Pretrained'])
def test_weights_of_an_initializer_are_looked_for(kind, tmp_path):
    def model(checkpoint):
        init_cfg = [
            dict(type='Constant', val=1),
            dict(type=kind, checkpoint=checkpoint),
        ]
        return Config(dict(model=dict(backbone=dict(init_cfg=init_cfg))))

    here = tmp_path / 'weights.pth'
    here.touch()
    check_checkpoints(model(str(here)))
    check_checkpoints(model('torchvision://resnet50'))
    with pytest.raises(FileNotFoundError, match=r'no checkpoint at .*away\.pth'):
        check_checkpoints(model(str(tmp_path / 'away.pth')))


def test_a_resumed_stage_2_needs_no_stage_1(tmp_path):
    hooks = dict(two_stage=dict(type='mmimbal.TwoStageHook', stage1='nowhere'))
    cfg = dict(default_hooks=hooks, work_dir=str(tmp_path))
    for resume in (True, False):  # there is nothing to resume
        with pytest.raises(FileNotFoundError, match='nowhere does not exist'):
            check_checkpoints(Config(dict(cfg, resume=resume)))
    (tmp_path / 'epoch_1.pth').touch()
    check_checkpoints(Config(dict(cfg, resume=True)))
    with pytest.raises(FileNotFoundError, match='nowhere does not exist'):
        check_checkpoints(Config(dict(cfg)))
