from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmimbal.datasets import DigitsLT
from mmimbal.engine.loops.cached_features_loop import CachedFeatures
from tests.conftest import log_of, tiny_digits, train


@pytest.fixture(scope='module')
def stage1(tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('stage1')
    train(tiny_digits('stage1_ce', work_dir))
    return work_dir


def config(work_dir, stage1, cached=True, pipeline=None, **options):
    cfg = tiny_digits('stage2_crt', work_dir, log_level='INFO')
    cfg.default_hooks.two_stage.stage1 = str(stage1)
    epochs = cfg.train_cfg.max_epochs
    if cached:
        cfg.train_cfg = dict(
            type='mmimbal.CachedFeaturesTrainLoop', max_epochs=epochs, **options
        )
    if pipeline:
        cfg.train_dataloader.dataset.pipeline = pipeline
    return cfg


PLAIN = [dict(type='PackInputs')]


def test_one_plain_view_is_training_without_a_cache(stage1, tmp_path):
    without = train(config(tmp_path / 'a', stage1, cached=False, pipeline=PLAIN))
    cached = train(config(tmp_path / 'b', stage1, pipeline=PLAIN))
    expected, found = without.model.state_dict(), cached.model.state_dict()
    assert found.keys() == expected.keys()
    for key, value in found.items():
        if key.startswith('head'):
            torch.testing.assert_close(value, expected[key], rtol=1e-5, atol=1e-6)
        else:
            assert value.equal(expected[key])
    scores = [
        runner.message_hub.get_scalar('val/balanced_accuracy').data[0]
        for runner in (without, cached)
    ]
    assert scores[0].tolist() == scores[1].tolist()
    assert cached.iter == without.iter


def test_the_model_takes_images_again_afterwards(stage1, tmp_path):
    cfg = config(tmp_path, stage1)
    runner = train(cfg)
    trained = runner.test()
    assert type(runner.model.data_preprocessor).__name__ == 'ClsDataPreprocessor'
    assert 'extract_feat' not in vars(runner.model)
    again = config(tmp_path / 'again', stage1, cached=False)
    again.load_from = str(tmp_path / 'epoch_2.pth')
    again.default_hooks.pop('two_stage')
    assert type(runner).from_cfg(again).test() == trained


def test_epochs_go_through_the_views(stage1, tmp_path):
    runner = train(config(tmp_path, stage1, views=3))
    assert 'Cached features of train_dataloader: 3 x 291 x 32' in log_of(runner)
    assert 'Cached features of val_dataloader: 1 x 200 x 32' in log_of(runner)


def test_a_second_run_computes_nothing(stage1, tmp_path, monkeypatch):
    cache = str(tmp_path / 'features')
    first = train(config(tmp_path / 'a', stage1, views=2, cache_dir=cache))
    monkeypatch.setattr('mmimbal.stage2.feature_cache.extract', None)
    second = train(config(tmp_path / 'b', stage1, views=2, cache_dir=cache))
    expected = first.model.state_dict()
    for key, value in second.model.state_dict().items():
        assert value.equal(expected[key])


def test_what_still_learns_cannot_be_cached(tmp_path, stage1):
    cfg = config(tmp_path, stage1)
    cfg.default_hooks.two_stage.bn = 'updated'
    with pytest.raises(ValueError, match="use bn='frozen'"):
        train(cfg)
    cfg = tiny_digits('stage1_ce', tmp_path)
    cfg.train_cfg = dict(type='mmimbal.CachedFeaturesTrainLoop', max_epochs=1)
    with pytest.raises(ValueError, match=r'backbone is not frozen.*TwoStageHook'):
        train(cfg)


def test_weights_may_be_averaged(stage1, tmp_path):
    cfg = config(tmp_path, stage1)
    cfg.custom_hooks = [dict(type='EMAHook', momentum=0.1)]
    runner = train(cfg)
    preprocessor = runner.model.data_preprocessor
    assert 'forward' not in vars(preprocessor)
    assert preprocessor.mean.numel() == 3


def test_mixtures_of_images_are_refused(stage1, tmp_path):
    cfg = config(tmp_path, stage1)
    cfg.model.train_cfg = dict(augments=dict(type='Mixup', alpha=0.2))
    cfg.model.data_preprocessor.num_classes = 10
    with pytest.raises(ValueError, match='Mixup and CutMix mix images, which'):
        train(cfg)


def test_rebalancing_twice_is_warned_of_as_without_a_cache(stage1, tmp_path):
    cfg = config(tmp_path, stage1)
    cfg.model.head.loss = dict(type='mmimbal.LogitAdjustmentLoss')
    assert 'together they rebalance twice' in log_of(train(cfg))


def fit(stage1, tmp_path, head, hooks=()):
    cfg = tiny_digits('stage2_crt', tmp_path)
    cfg.default_hooks.two_stage.stage1 = str(stage1)
    cfg.model.head = dict(type=head, num_classes=10, in_channels=32)
    cfg.train_cfg = dict(type='mmimbal.FitLoop')
    cfg.param_scheduler, cfg.custom_hooks = None, list(hooks)
    return train(cfg)


def test_a_head_that_is_trained_is_not_fitted(stage1, tmp_path):
    with pytest.raises(ValueError, match='LinearClsHead is trained in steps: use'):
        fit(stage1, tmp_path, 'LinearClsHead')


def test_what_is_fitted_is_not_averaged(stage1, tmp_path):
    """The checkpoint would have the weights of the beginning."""
    head = 'mmimbal.NearestMeanClsHead'
    with pytest.raises(ValueError, match='nothing for EMAHook to average'):
        fit(stage1, tmp_path, head, [dict(type='EMAHook')])
    fit(stage1, tmp_path / 'right', head)


@pytest.mark.parametrize(
    ('hook', 'message'),
    [
        (
            dict(
                type='SwitchRecipeHook',
                schedule=[dict(action_epoch=2, train_pipeline=PLAIN)],
            ),
            'train_pipeline of SwitchRecipeHook changes images',
        ),
        (
            dict(
                type='SwitchRecipeHook',
                schedule=[
                    dict(
                        action_epoch=2,
                        batch_augments=dict(augments=dict(type='Mixup', alpha=0.2)),
                    )
                ],
            ),
            'batch_augments of SwitchRecipeHook changes images',
        ),
        (dict(type='PreciseBNHook'), 'PreciseBNHook passes images through a net'),
        (dict(type='VisualizationHook', enable=True), 'VisualizationHook draws images'),
    ],
)
def test_hooks_that_need_images_are_refused(stage1, tmp_path, hook, message):
    cfg = config(tmp_path, stage1)
    cfg.model.data_preprocessor = dict(to_onehot=True, num_classes=10)
    cfg.custom_hooks = [*cfg.get('custom_hooks', []), hook]
    with pytest.raises(ValueError, match=message):
        train(cfg)


def test_another_loss_may_be_switched_in(stage1, tmp_path):
    cfg = config(tmp_path, stage1)
    recipe = dict(action_epoch=2, loss=dict(type='FocalLoss'), batch_augments=None)
    hook = dict(type='SwitchRecipeHook', schedule=[recipe])
    cfg.custom_hooks = [*cfg.get('custom_hooks', []), hook]
    assert type(train(cfg).model.head.loss_module).__name__ == 'FocalLoss'


def test_several_necks_are_cached(tmp_path):
    """As in the configs of HRNet."""
    necks = [dict(type='GlobalAveragePooling')]
    stage1 = tiny_digits('stage1_ce', tmp_path / 'stage1', train_cfg__max_epochs=1)
    stage1.model.neck = necks
    train(stage1)
    cfg = config(tmp_path / 'stage2', tmp_path / 'stage1')
    cfg.model.neck = necks
    assert 'Cached features of train_dataloader' in log_of(train(cfg))


def test_labels_are_on_the_device_of_the_head():
    """MMPretrain moves a label without a dimension to the CPU, from any device."""
    images = DigitsLT('train')
    loader = SimpleNamespace(dataset=images)
    cached = CachedFeatures(loader, np.zeros((1, len(images), 4), 'f4'), 'meta')
    labels = [sample.gt_label for sample in cached.samples]
    assert {label.device.type for label in labels} == {'meta'}
    assert {label.shape for label in labels} == {(1,)}
