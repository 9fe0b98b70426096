from pathlib import Path

from mmengine.config import Config
from mmpretrain.datasets.transforms import RandAugment

from mmimbal.command_line.compose import load_experiment
from mmimbal.engine.hooks import TwoStageHook
from mmimbal.stage2.config import (
    stage2_config,
    two_stage_hooks,
    with_one_view,
)
from tests.conftest import CONFIGS


def method(name):
    return Config.fromfile(CONFIGS / f'_base_/stage2/{name}.py')


def made(stage1, name='crt', **options):
    cfg = load_experiment(stage1)
    return stage2_config(cfg, method(name), Path('best.pth'), **options)


def test_it_is_that_of_a_leaf():
    """What stage 2 is made of equals what a leaf of the same method says."""
    cfg = made('isic2018/64px/ce')
    leaf = Config.fromfile(CONFIGS / 'isic/stage2_crt_64px.py')
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        assert cfg[key] == leaf[key]
    assert cfg.model.head == leaf.model.head
    assert cfg.optim_wrapper.optimizer == leaf.optim_wrapper.optimizer
    assert cfg.param_scheduler == leaf.param_scheduler
    assert cfg.train_cfg.max_epochs == leaf.train_cfg.max_epochs
    assert cfg.default_hooks.two_stage.stage1 == 'best.pth'


def test_nothing_is_left_of_several_views_and_balanced_batches():
    expected = made('isic2018/64px/ce')
    for name in ('supcon', 'triplet_pk', 'supcon_balanced', 'bcl_balanced_views'):
        found = made(f'isic2018/64px/{name}')
        assert found.train_dataloader == expected.train_dataloader
        assert found.model == expected.model


def test_a_fitted_head_and_views():
    cfg = made('isic2018/64px/ce', 'knn', views=3)
    assert cfg.train_cfg == dict(type='mmimbal.FitLoop', views=3)
    assert cfg.param_scheduler is None
    assert made('isic2018/64px/ce', views=4).train_cfg.views == 4


def test_a_config_of_plain_mmpretrain():
    cfg = Config.fromfile('configs/examples/resnet50_8xb32_isic2018.py')
    plain = Config(
        dict(
            cfg,
            model=dict(cfg.model, train_cfg=dict(augments=[dict(type='Mixup')])),
            data_preprocessor=dict(mean=[1, 2, 3]),
            custom_hooks=[dict(type='EMAHook')],
        )
    )
    plain.model.pop('data_preprocessor', None)
    plain.model.head.in_channels = 2048
    plain.model.head.num_classes = 7
    plain.auto_scale_lr = dict(base_batch_size=256, enable=True)
    made = stage2_config(plain, method('balanced_softmax'), Path('best.pth'))
    assert made.model.data_preprocessor.mean == [1, 2, 3]
    assert 'train_cfg' not in made.model and made.custom_hooks == []
    assert made.default_hooks.class_counts.type == 'mmimbal.ClassCountsHook'
    assert not made.auto_scale_lr.enable and plain.auto_scale_lr.enable
    assert plain.model.train_cfg.augments  # is left as it was


def test_one_view_in_a_wrapped_dataset():
    flip = dict(type='RandomFlip')
    views = dict(type='MultiView', num_views=[2, 4], transforms=[[flip], []])
    inner = dict(
        type='CSVDataset', pipeline=[dict(type='Load'), views, dict(type='Pack')]
    )
    dataset = dict(type='ConcatDataset', datasets=[inner, dict(inner)])
    found = with_one_view(dataset)
    for part in found['datasets']:
        assert [step['type'] for step in part['pipeline']] == [
            'Load',
            'RandomFlip',
            'Pack',
        ]


def test_names_may_have_a_scope():
    views = dict(type='mmpretrain.MultiView', num_views=2, transforms=[[], []])
    ours = dict(type='mmimbal.ViewsByLoss', transforms=[[dict(type='Flip')]])
    strong = [dict(type='mmpretrain.RandAugment'), dict(type=RandAugment)]
    found = with_one_view([*strong, views, ours, dict(type='mmcv.Pack')])
    assert [step['type'] for step in found] == ['Flip', 'mmcv.Pack']


def test_a_hook_given_as_a_class_is_found():
    """As new-style configs do."""
    hook = dict(type=TwoStageHook, stage1='best.pth')
    assert two_stage_hooks(Config(dict(custom_hooks=[hook]))) == [hook]
    assert two_stage_hooks(Config(dict(custom_hooks=[dict(type='EMAHook')]))) == []


def test_hooks_may_be_none_as_mmengine_allows():
    assert two_stage_hooks(Config(dict(custom_hooks=None, default_hooks=None))) == []
    hook = dict(type='mmimbal.TwoStageHook', stage1='best.pth')
    cfg = Config(dict(custom_hooks=None, default_hooks=dict(logger=None, two=hook)))
    assert two_stage_hooks(cfg) == [hook]
