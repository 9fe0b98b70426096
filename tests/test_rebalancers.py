"""Every way of stage 2 trains on the frozen backbone of a stage 1."""

import pytest
from mmengine.runner import Runner

from mmimbal.command_line.compose import load_experiment
from mmimbal.files.checkpoint import load_from_local
from mmimbal.models.heads.frozen_classifier_head import FrozenClassifierHead
from tests.conftest import (
    CONFIGS,
    TINY,
    log_of,
    rows_of,
    tiny_digits,
    train,
    write_index,
)

METHODS = sorted(path.stem for path in (CONFIGS / '_base_/stage2').glob('*.py'))


@pytest.fixture(scope='module')
def stage1(tmp_path_factory):
    return train(tiny_digits('stage1_ce', tmp_path_factory.mktemp('stage1')))


@pytest.mark.parametrize('name', METHODS)
def test_it_trains_its_head_and_nothing_else(name, stage1, tmp_path):
    cfg = load_experiment(f'digits_lt/digits/triplet/{name}')
    fits = cfg.train_cfg.get('type') == 'mmimbal.FitLoop'
    epochs = cfg.train_cfg.pop('max_epochs', None)
    cfg.merge_from_dict({**TINY, 'log_level': 'INFO'})
    cfg.train_cfg.pop('max_epochs')
    if not fits:
        assert epochs == 20
        loop = 'mmimbal.CachedFeaturesTrainLoop'
        cfg.train_cfg = dict(type=loop, max_epochs=2, views=2)
    cfg.work_dir = str(tmp_path)
    cfg.default_hooks.two_stage.stage1 = stage1.work_dir
    runner = train(cfg)
    best = load_from_local(stage1.message_hub.get_info('best_ckpt'))
    head = runner.model.head
    kept = isinstance(head, FrozenClassifierHead)
    kept = kept and not head.fc.weight.requires_grad  # LOS trains it on
    for key, value in runner.model.state_dict().items():
        if key.startswith(('backbone', 'neck')):
            assert value.equal(best['state_dict'][key])
        elif key == 'head.fc.weight':
            assert value.equal(best['state_dict'][key]) == kept
    assert 'rebalance twice' not in log_of(runner)
    assert runner.epoch == (1 if fits else 2)
    score = runner.message_hub.get_scalar('val/balanced_accuracy').current()
    assert runner.test()['balanced_accuracy'] > 0 and score > 0


@pytest.mark.parametrize('name', ['crt', 'ldam_drw', 'vs'])
def test_it_trains_in_one_stage(name, tmp_path, monkeypatch):
    monkeypatch.setenv('MMIMBAL_DATA', str(tmp_path))
    classes = ['akiec', 'bcc', 'bkl', 'df', 'mel', 'nv', 'vasc']
    rows = rows_of(classes, {'train': 3, 'val': 1, 'test': 1})
    write_index(tmp_path / 'isic2018', rows)
    cfg = load_experiment(f'isic2018/64px/none/{name}')
    cfg.merge_from_dict({**TINY, 'train_cfg.max_epochs': 1})
    for split in ('train', 'val'):
        cfg[f'{split}_dataloader'].update(num_workers=0, persistent_workers=False)
    cfg.work_dir = str(tmp_path)
    runner = Runner.from_cfg(cfg)
    before = runner.model.backbone.conv1.weight.clone()
    runner.train()
    assert not runner.model.backbone.conv1.weight.equal(before)
    assert runner.message_hub.get_scalar('train/loss').current() > 0


def test_shifted_batch_norm(stage1, tmp_path):
    """As in MiSLAS: statistics move, and no weight of the backbone does."""
    cfg = load_experiment('digits_lt/digits/triplet/label_aware_smoothing')
    cfg.merge_from_dict({**TINY, 'train_cfg.max_epochs': 1})
    cfg.default_hooks.two_stage.update(stage1=stage1.work_dir, bn='updated')
    cfg.work_dir = str(tmp_path)
    runner = train(cfg)
    best = load_from_local(stage1.message_hub.get_info('best_ckpt'))
    for key, value in runner.model.backbone.state_dict().items():
        moves = key.endswith(('running_mean', 'running_var', 'num_batches_tracked'))
        assert value.equal(best['state_dict'][f'backbone.{key}']) != moves
