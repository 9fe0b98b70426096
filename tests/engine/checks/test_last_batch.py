"""A batch of one image that batch norm refuses is an error before training."""

import copy
import random

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.runner import Runner
from torch.utils.data import BatchSampler, DataLoader

from mmimbal.engine.checks import last_batch
from mmimbal.engine.checks.last_batch import check_last_batch, needs_two_images
from mmimbal.engine.hooks import check_run_hook
from tests.conftest import tiny_digits, train
from tests.engine.checks.test_needed_metrics import Steps


def config(work_dir, images=65, **options):
    """Return a run whose last batch has one image; its last maps are 1 x 1."""
    cfg = tiny_digits('stage1_ce', work_dir, train_cfg__max_epochs=1, **options)
    sampler = dict(type='mmimbal.ClassBalancedSampler', length=images)
    cfg.train_dataloader.sampler = sampler
    return cfg


def test_it_is_an_error_before_training(tmp_path):
    message = (
        r'the last batch of an epoch has one image \(65 images, batch size 64'
        r'\), but batch normalization needs two: set train_dataloader\.drop_last=True '
        r'or another train_dataloader\.batch_size'
    )
    with pytest.raises(ValueError, match=message):
        train(config(tmp_path), steps := Steps())
    assert steps.count == 0


def test_without_the_check_it_fails_at_the_end_of_the_epoch(tmp_path, monkeypatch):
    monkeypatch.setattr(check_run_hook, 'check_last_batch', lambda *args: None)
    with pytest.raises(ValueError, match=last_batch.NEEDS_TWO):
        train(config(tmp_path), steps := Steps())
    assert steps.count == 1


def test_batches_of_one_image_each(tmp_path):
    cfg = config(tmp_path, images=3, train_dataloader__batch_size=1)
    with pytest.raises(ValueError, match=r'every batch .* two: set another train_data'):
        train(cfg)


@pytest.mark.parametrize(
    'loss',
    [
        dict(type='mmimbal.LogitAdjustmentLoss'),
        dict(type='mmimbal.LDAMLoss', reweight_epoch=1),
        dict(type='mmimbal.LDAMLoss', reweight_epoch=16),
    ],
)
def test_losses_that_need_counts_or_the_epoch(tmp_path, loss):
    """They would end the trial before batch norm does."""
    cfg = tiny_digits('stage1_triplet', tmp_path, train_cfg__max_epochs=1)
    cfg.train_dataloader.sampler = dict(type='mmimbal.ClassBalancedSampler', length=65)
    cfg.model.backbone = dict(
        type='mmpretrain.ResNet', depth=18, norm_cfg=dict(type='GN', num_groups=2)
    )
    cfg.model.head.update(in_channels=512, embedding_size=8, hidden_size=8)
    cfg.model.head.update(batch_norm=True, loss=loss)
    others = dict(cfg.default_hooks)
    cfg.default_hooks = dict(check_run=others.pop('check_run'), **others)
    with pytest.raises(ValueError, match=r'the last batch .* one image'):
        train(cfg)


LARGE = [dict(type='Resize', scale=16), dict(type='PackInputs')]
RIGHT = {
    'last batch left out': dict(train_dataloader__drop_last=True),
    'other batches': dict(train_dataloader__batch_size=32, images=66),
    'group norm': dict(model__backbone__norm_cfg=dict(type='GN', num_groups=2)),
    'maps of 2 x 2': dict(train_dataloader__dataset__pipeline=LARGE),
}


@pytest.mark.parametrize('name', RIGHT)
def test_what_can_be_trained_is_trained(name, tmp_path):
    train(config(tmp_path, **RIGHT[name]), steps := Steps())
    assert steps.count > 0


@pytest.mark.parametrize('bn', ['frozen', 'updated'])
def test_stage_2_of_a_single_run(bn, tmp_path):
    """Only its own batches have one image; frozen batch norm takes it."""
    cfg = tiny_digits('two_stage_triplet_crt', tmp_path)
    cfg.default_hooks.two_stage.update(epoch=1, bn=bn)
    cfg.default_hooks.two_stage.stage2.train_dataloader.sampler.length = 65
    if bn == 'frozen':
        train(cfg, steps := Steps())
        assert steps.count == 5 + 2
    else:
        with pytest.raises(ValueError, match=r'the last batch .* one image'):
            train(cfg, steps := Steps())
        assert steps.count == 5


@pytest.fixture
def runner(tmp_path):
    cfg = config(tmp_path)
    cfg.train_dataloader.dataset.pipeline = [
        dict(type='RandomCrop', crop_size=8, padding=2),
        dict(type='PackInputs'),
    ]
    return Runner.from_cfg(cfg)


def test_neither_the_model_nor_random_numbers_change(runner):
    loader = runner.build_dataloader(runner.cfg.train_dataloader)
    model = runner.model.eval()
    before = copy.deepcopy(model.state_dict())

    def numbers():
        name, keys, *place = np.random.get_state()
        of_torch = torch.get_rng_state().tolist()
        return random.getstate(), name, keys.tolist(), place, of_torch

    drawn = numbers()
    assert needs_two_images(model, loader)
    assert numbers() == drawn
    after = model.state_dict()
    assert all(after[key].equal(before[key]) for key in before)
    assert not model.training and all(p.grad is None for p in model.parameters())
    loader.dataset[0]  # it would change them
    assert numbers() != drawn


@pytest.mark.parametrize('size', [1, 2, 3, 7])
@pytest.mark.parametrize('drop_last', [False, True])
@pytest.mark.parametrize('images', [1, 6, 7, 8, 13])
def test_only_batches_of_one_image_are_tried(size, drop_last, images, monkeypatch):
    monkeypatch.setattr(last_batch, 'needs_two_images', lambda *args: True)
    sampler = DefaultSampler(range(images), shuffle=False)
    loader = DataLoader(
        range(images), batch_sampler=BatchSampler(sampler, size, drop_last)
    )
    if not len(loader):
        with pytest.raises(ValueError, match=f'no batch of {size} in {images} train'):
            check_last_batch(None, loader)
    elif any(len(batch) == 1 for batch in loader.batch_sampler):
        with pytest.raises(ValueError, match=f'{images} images, batch size {size}'):
            check_last_batch(None, loader)
    else:
        check_last_batch(None, loader)


def test_a_last_image_and_its_only_view_for_the_metric_loss(tmp_path):
    """The backbone takes it, and the projection sees one row."""
    cfg = config(tmp_path)
    cfg.merge_from_dict(
        {
            'model.backbone.norm_cfg': dict(type='GN', num_groups=2),
            'model.head': dict(
                _delete_=True,
                type='mmimbal.MetricLearningClsHead',
                num_classes=10,
                in_channels=32,
                embedding_size=8,
                hidden_size=8,
                batch_norm=True,
                separate_views=True,
                metric_loss=dict(type='mmimbal.SupConLoss'),
            ),
            'model.data_preprocessor.type': 'mmimbal.MultiViewDataPreprocessor',
            'train_dataloader.batch_sampler': dict(
                type='mmimbal.ViewsBatchSampler', metric_images=8, drop_last=False
            ),
            'train_dataloader.dataset.pipeline': [
                dict(
                    type='mmimbal.ViewsByLoss',
                    transforms=[[dict(type='RandomFlip', prob=0.5)]],
                    metric_views=1,
                ),
                dict(type='PackInputs'),
            ],
        }
    )
    with pytest.raises(ValueError, match='the last batch of an epoch has one image'):
        train(cfg, steps := Steps())
    assert steps.count == 0


def test_batches_without_an_end_have_no_last_one(monkeypatch):
    monkeypatch.setattr(last_batch, 'needs_two_images', lambda *args: True)
    for size, drop_last in ((4, False), (16, True)):
        batches = BatchSampler(InfiniteSampler(range(9)), size, drop_last)
        check_last_batch(None, DataLoader(range(9), batch_sampler=batches))


def test_other_errors_are_left_to_the_training(runner):
    loader = runner.build_dataloader(runner.cfg.train_dataloader)
    loader.dataset.pipeline.transforms.clear()  # images without a tensor
    assert not needs_two_images(runner.model, loader)


def test_images_without_class_names(runner, monkeypatch):
    """Counts are not asked for if no loss wants them."""
    loader = runner.build_dataloader(runner.cfg.train_dataloader)
    monkeypatch.setattr(type(loader.dataset), 'metainfo', {})
    assert needs_two_images(runner.model, loader)
