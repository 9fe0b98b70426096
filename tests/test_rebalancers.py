"""Every way of stage 2 trains on the frozen backbone of a stage 1."""

import pytest
import torch

from mmimbal.engine.bases import load_with_bases
from tests.conftest import CONFIGS, TINY, log_of, tiny_digits, train

METHODS = sorted(path.stem for path in (CONFIGS / '_base_/stage2').glob('*.py'))


@pytest.fixture(scope='module')
def stage1(tmp_path_factory):
    return train(tiny_digits('stage1_ce', tmp_path_factory.mktemp('stage1')))


@pytest.mark.parametrize('name', METHODS)
def test_it_trains_its_head_and_nothing_else(name, stage1, tmp_path):
    cfg = load_with_bases(
        str(CONFIGS / 'digits_lt/stage2_crt.py'), [f'stage2/crt=stage2/{name}']
    )
    cfg.merge_from_dict({**TINY, 'log_level': 'INFO'})
    cfg.work_dir = str(tmp_path)
    cfg.default_hooks.two_stage.stage1 = stage1.work_dir
    cfg.train_cfg = dict(type='mmimbal.CachedFeaturesTrainLoop', max_epochs=2, views=2)
    runner = train(cfg)
    best = torch.load(stage1.message_hub.get_info('best_ckpt'), weights_only=True)
    for key, value in runner.model.state_dict().items():
        if key.startswith(('backbone', 'neck')):
            assert value.equal(best['state_dict'][key])
        elif value.dim() == 2:
            assert not value.equal(best['state_dict'][key])
    log = log_of(runner)
    assert 'rebalance twice' not in log
    assert 0 < runner.message_hub.get_scalar('train/loss').current() < 100
