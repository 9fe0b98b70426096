import pytest
from mmengine.config import Config

from mmimbal.command_line import run_config
from mmimbal.command_line.run_config import choose_split, start_from

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


def test_another_stage_1_must_be_there_unless_a_run_of_stage_2_goes_on(tmp_path):
    hook = dict(type='mmimbal.TwoStageHook', stage1='old')
    cfg = Config(dict(custom_hooks=[hook], work_dir=str(tmp_path)))
    with pytest.raises(FileNotFoundError, match=r'^--stage1: no checkpoint: nowhere '):
        start_from(cfg, 'nowhere')
    cfg.resume = True
    (tmp_path / 'epoch_1.pth').touch()
    start_from(cfg, 'nowhere')
    assert cfg.custom_hooks[0].stage1 == 'nowhere'
    (tmp_path / 'best_x_epoch_1.pth').touch()
    cfg.resume = False
    start_from(cfg, str(tmp_path))
    assert cfg.custom_hooks[0].stage1 == str(tmp_path)
