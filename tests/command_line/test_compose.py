import ast

import pytest
from mmengine.config import Config

from mmimbal.command_line.compose import (
    compose,
    leaf_text,
    load_experiment,
    read_experiment,
)
from mmimbal.command_line.experiment import Experiment, words_of
from tests.conftest import CONFIGS

LEAVES = sorted(
    path
    for path in CONFIGS.glob('*/*.py')
    if path.parent.name not in ('_base_', 'grids')
    and path.stem not in ('resnet50_8xb32_isic2018', 'difficulty_sampling_64px')
)


@pytest.mark.parametrize(
    'leaf', LEAVES, ids=lambda leaf: f'{leaf.parent.name}-{leaf.stem}'
)
def test_a_leaf_is_what_the_template_writes(leaf):
    experiment, folder = read_experiment(leaf)
    text = leaf_text(experiment, folder)
    assert ast.dump(ast.parse(text)) == ast.dump(ast.parse(leaf.read_text()))
    assert leaf.parent.name == 'examples' or leaf.stem == experiment.file_name


@pytest.mark.parametrize(
    ('profile', 'stage2', 'expected'),
    [
        ('64px', 'crt', dict(by_epoch=True, max_epochs=20, val_interval=1)),
        (
            'pretrained',
            'crt',
            dict(
                type='mmimbal.CachedFeaturesTrainLoop',
                max_epochs=20,
                val_interval=1,
                views=4,
            ),
        ),
        (
            'pretrained',
            'nearest_mean',
            dict(type='mmimbal.FitLoop', val_interval=1, views=4),
        ),
    ],
)
def test_a_profile_may_choose_the_loop_of_stage_2(profile, stage2, expected):
    cfg = compose(Experiment('isic2018', profile, 'ce', stage2))
    assert cfg.train_cfg == expected


@pytest.mark.parametrize('stage1', words_of('stage1'))
def test_every_stage_1_has_its_head_views_and_batches(stage1):
    cfg = compose(Experiment('rbc12', '64px', stage1))
    base = Config.fromfile(CONFIGS / f'_base_/stage1/{stage1}.py')
    assert cfg.model.head == dict(base.head, num_classes=12, in_channels=256)
    loader = cfg.train_dataloader
    assert loader.dataset.data_root.endswith('/rbc12')
    profile = Config.fromfile(CONFIGS / '_base_/profiles/64px.py')
    augment, strong = profile.augment, base.get('strong', [])
    if 'views' in base:
        options = dict(strong=strong) if strong else {}
        augment = [dict(base.views, transforms=[augment], **options)]
    else:
        augment = [*augment, *strong]
    assert loader.dataset.pipeline == [*profile.load, *augment, profile.pack]
    preprocessor = cfg.model.data_preprocessor
    views = 'mmimbal.MultiViewDataPreprocessor' if 'views' in base else None
    assert preprocessor.get('type') == views
    mixes = 'batch_augments' in base
    assert preprocessor.get('num_classes') == (12 if mixes else None)
    mixed = dict(augments=base.batch_augments) if mixes else None
    assert cfg.model.get('train_cfg') == mixed
    batches = base.get('batches', {})
    assert loader.get('batch_sampler') == batches.get('batch_sampler')
    assert cfg.auto_scale_lr.base_batch_size == batches.get('batch_size', 128)
    assert cfg.work_dir == f'work_dirs/rbc12/stage1_{stage1}_64px'
    kept = dict(profile.default_hooks.checkpoint, **base.get('stage1_checkpoint', {}))
    assert cfg.default_hooks.checkpoint == kept


def test_the_recommended_recipe_keeps_its_last_epoch_for_stage_2():
    stage1 = compose(Experiment('isic2018', 'pretrained', 'recommended'))
    assert stage1.default_hooks.checkpoint.save_best is None
    stage2 = compose(Experiment('isic2018', 'pretrained', 'recommended', 'crt'))
    assert stage2.default_hooks.checkpoint.save_best == 'balanced_accuracy'


@pytest.mark.parametrize('stage2', words_of('stage2'))
def test_every_stage_2_follows_its_stage_1(stage2):
    cfg = compose(Experiment('isic2018', '224px', 'bcl', stage2))
    base = Config.fromfile(CONFIGS / f'_base_/stage2/{stage2}.py')
    assert cfg.model.head == dict(base.stage2_head, num_classes=7, in_channels=2048)
    assert cfg.model.backbone.init_cfg is None
    hook = cfg.default_hooks.two_stage
    assert hook.stage1 == 'work_dirs/isic2018/stage1_bcl'
    assert 'MultiView' not in str(cfg.train_dataloader)
    if base.stage2_train_cfg.get('_delete_'):
        assert cfg.train_cfg == dict(type='mmimbal.FitLoop')
    else:
        assert cfg.train_cfg.max_epochs == 20
    sampler = base.stage2.train_dataloader.get('sampler', {}).get('type')
    assert cfg.train_dataloader.sampler.type == (sampler or 'DefaultSampler')


def test_what_stands_upright_is_not_flipped_vertically():
    for profile in ('224px', '64px', '144px_resnet50'):
        for stage1, views in (('triplet', 1), ('bcl', 2)):
            cfg = compose(Experiment('covidx', profile, stage1))
            text = str(cfg.train_dataloader.dataset.pipeline)
            assert "'direction': 'horizontal'" in text and 'vertical' not in text
            assert ('MultiView' in text) == (views == 2)


def test_words_of_a_leaf_are_replaced():
    leaf = str(CONFIGS / 'isic/stage1_triplet.py')
    cfg = load_experiment(leaf, '64px', ['stage1/triplet=stage1/bcl'])
    assert cfg.model.head.type == 'mmimbal.BalancedContrastiveClsHead'
    assert cfg.model.backbone.depth == 18
    assert cfg.work_dir == 'work_dirs/isic/stage1_bcl_64px'
    same = load_experiment('isic2018/64px/bcl')
    assert same.model == cfg.model and same.train_dataloader == cfg.train_dataloader


def test_a_leaf_with_lines_of_its_own_keeps_them(tmp_path):
    """It is loaded as it is; its words cannot be replaced without losing them."""
    leaf = tmp_path / 'set' / 'mine.py'
    leaf.parent.mkdir()
    text = leaf_text(Experiment('digits_lt', 'digits', 'ce'), bases=f'{CONFIGS}/_base_')
    leaf.write_text(text + 'train_cfg = dict(max_epochs=3)\n')
    assert load_experiment(str(leaf)).train_cfg.max_epochs == 3
    with pytest.raises(
        ValueError, match=r'mine\.py has settings besides the four words'
    ):
        load_experiment(str(leaf), bases=['stage1/ce=stage1/triplet'])


def test_missing_files_and_names_are_told_apart():
    with pytest.raises(FileNotFoundError, match=r'no config configs/missing\.py'):
        load_experiment('configs/missing.py')
    with pytest.raises(ValueError, match="'missing' is neither a config file nor"):
        load_experiment('missing')
