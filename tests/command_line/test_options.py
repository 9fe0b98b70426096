import pytest
from mmengine.config import Config

from mmimbal.command_line.options import (
    RUNNER_KEYS,
    check_custom_hooks,
    check_options,
    merge_options,
)
from tests.conftest import CONFIGS


@pytest.fixture
def cfg():
    return Config.fromfile(CONFIGS / 'digits_lt/stage1_triplet.py')


@pytest.mark.parametrize(
    'option', ['model.head.metric_weight', 'train_cfg.max_epochs', 'work_dir', 'resume']
)
def test_what_the_runner_reads_passes(cfg, option):
    assert option.split('.')[0] in RUNNER_KEYS
    check_options([option], cfg)


@pytest.mark.parametrize(
    ('option', 'hint'),
    [
        ('head.metric_weight', "Did you mean 'model.head.metric_weight'?"),
        ('num_classes', "'num_classes' is a variable of the config files"),
        ('modle.head', "Did you mean 'model'?"),
        ('cfg', 'would have no effect'),
        ('launcher', 'use --launcher'),
        ('auto_scale_lr.enabled', 'auto_scale_lr has base_batch_size, enable'),
        ('env_cfg.cudnn_benchmrk', 'env_cfg has cudnn_benchmark, '),
        ('randomness.sed', 'randomness has seed, '),
    ],
)
def test_what_it_never_reads_is_an_error(cfg, option, hint):
    with pytest.raises(ValueError, match='would have no effect') as error:
        check_options([option], cfg)
    assert hint in str(error.value)


@pytest.mark.parametrize(
    'options',
    [
        {'custom_hooks': ["dict(type='EMAHook')"]},  # as mmengine reads it
        {'custom_hooks.0.type': 'EMAHook'},
    ],
)
def test_hooks_cannot_be_written_on_the_command_line(cfg, options):
    cfg.merge_from_dict(options)
    with pytest.raises(ValueError, match='write them into a config file'):
        check_custom_hooks(cfg)


def test_hooks_that_are_there_can_be_changed_and_removed(cfg):
    check_custom_hooks(cfg)
    cfg.custom_hooks = [dict(type='EMAHook')]
    cfg.merge_from_dict({'custom_hooks.0.momentum': 0.1})
    check_custom_hooks(cfg)
    cfg.merge_from_dict({'custom_hooks': []})
    check_custom_hooks(cfg)


@pytest.mark.parametrize(
    'option', ['param_scheduler.9.T_max', 'model.backbone.type.x', 'param_scheduler.0']
)
def test_a_place_that_is_not_there_is_named(cfg, option):
    with pytest.raises(ValueError, match=f'--cfg-options {option}: '):
        merge_options(cfg, {'model.head.type': 'A', option: 1})


def test_options_are_merged_together(cfg):
    merge_options(cfg, {'model.head._delete_': True, 'model.head.type': 'A'})
    assert cfg.model.head == dict(type='A')
