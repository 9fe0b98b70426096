import gc
import weakref

import pytest
from mmengine.config import Config

from mmimbal.command_line import run_config
from mmimbal.command_line.options import (
    RUNNER_KEYS,
    check_custom_hooks,
    check_options,
)
from mmimbal.command_line.run_config import choose_split
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


COSINE = dict(type='CosineAnnealingLR', T_max=10)


@pytest.mark.parametrize(
    ('scheduler', 'epochs', 'switch', 'warns'),
    [
        (COSINE, 10, None, False),
        (COSINE, 20, None, True),
        (COSINE, 8, None, True),  # ends at a high rate
        (dict(COSINE, begin=5), 12, None, True),
        ([dict(type='LinearLR', end=5), COSINE], 12, None, True),
        ([dict(COSINE, begin=5, T_max=15)], 20, None, False),
        (dict(COSINE, end=10), 20, None, False),
        (dict(COSINE, by_epoch=False), 20, None, False),
        (dict(COSINE, by_epoch=False), 5, None, False),
        (COSINE, 20, 10, False),  # stage 2 has its own schedule
        (COSINE, 20, 12, True),
        (dict(type='MultiStepLR', milestones=[5]), 20, None, False),
        ([], 20, None, False),
    ],
)
def test_a_schedule_of_another_length_is_said(
    monkeypatch, scheduler, epochs, switch, warns
):
    said = []
    monkeypatch.setattr(
        run_config, 'print_log', lambda line, logger, level: said.append(line)
    )
    cfg = dict(train_cfg=dict(max_epochs=epochs), param_scheduler=scheduler)
    if switch:
        hook = dict(type='mmimbal.TwoStageHook', epoch=switch)
        cfg['default_hooks'] = dict(two_stage=hook)
    run_config.warn_of_other_length(Config(cfg))
    assert bool(said) is warns
    begin = scheduler.get('begin', 0) if isinstance(scheduler, dict) else 0
    wanted = (switch or epochs) - begin
    assert not warns or said[0].endswith(f'set T_max to {wanted} in param_scheduler')
    if warns:
        rises = wanted > 10
        assert ('rises again' in said[0]) is rises
        assert ('ends at a higher rate' in said[0]) is not rises


def test_a_schedule_of_stage_2_of_another_length_is_said(monkeypatch):
    said = []
    monkeypatch.setattr(
        run_config, 'print_log', lambda line, logger, level: said.append(line)
    )
    stage2 = dict(param_scheduler=[COSINE])
    hook = dict(type='mmimbal.TwoStageHook', epoch=10, stage2=stage2)
    cfg = Config(dict(param_scheduler=[COSINE], train_cfg={}, custom_hooks=[hook]))
    for epochs in (20, 16, None):
        cfg.train_cfg.max_epochs = epochs
        run_config.warn_of_other_length(cfg)
    (line,) = said
    assert line == (
        'CosineAnnealingLR has its lowest learning rate after 10 of 6 epochs, so that '
        'the training ends at a higher rate: set T_max to 6 in stage2.param_scheduler '
        'of TwoStageHook'
    )


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
    ],
)
def test_what_it_never_reads_is_an_error(cfg, option, hint):
    with pytest.raises(ValueError, match='would have no effect') as error:
        check_options([option], cfg)
    assert hint in str(error.value)


def test_starting_on_a_cpu_keeps_what_the_config_says_of_ddp(cfg, monkeypatch):
    monkeypatch.setattr(run_config.dist, 'init_process_group', lambda backend: None)
    cfg.find_unused_parameters = True
    cfg.model_wrapper_cfg = dict(broadcast_buffers=False)
    run_config.start_on_cpu(cfg)
    assert cfg.model_wrapper_cfg == dict(
        type='MMDistributedDataParallel',
        find_unused_parameters=True,
        broadcast_buffers=False,
        device_ids=None,
    )


def test_another_split_is_tested_below_any_wrapper():
    images = dict(type='mmimbal.CSVDataset', data_root='x', split='test')
    wrapper = dict(type='RepeatDataset', times=1, dataset=images)
    for dataset in (images, wrapper):
        cfg = Config(dict(test_dataloader=dict(dataset=dataset)))
        choose_split(cfg, 'train')
        found = cfg.test_dataloader.dataset
        assert found.get('dataset', found).split == 'train'
    cfg = Config(dict(test_dataloader=dict(dataset=dict(type='ImageNet'))))
    with pytest.raises(ValueError, match='CSVDataset; ImageNet has none'):
        choose_split(cfg, 'train')


def test_what_holds_the_group_is_freed_before_it_is_destroyed(monkeypatch):
    """DDP is in a cycle; if it held the group last, gloo could wait for ever."""

    class Holder:
        pass

    holder, freed = Holder(), []
    holder.itself, alive = holder, weakref.ref(holder)
    monkeypatch.setattr(run_config.dist, 'is_initialized', lambda: True)
    destroy = 'destroy_process_group'
    monkeypatch.setattr(run_config.dist, destroy, lambda: freed.append(alive() is None))
    gc.disable()  # it must not be freed by chance
    try:
        del holder
        run_config.end_on_cpu()
    finally:
        gc.enable()
    assert freed == [True]


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
