"""Stage 1 as an adapter on cached features of a frozen backbone."""

import json
import os

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmpretrain.registry import MODELS

from mmimbal.engine.ddp import unwrap_model
from mmimbal.files.checkpoint import load_from_local
from mmimbal.inference.predictor import load_predictor
from mmimbal.stage2.config import stage2_config
from mmimbal.stage2.freezing import freeze
from mmimbal.stage2.stage1 import load_stage1
from mmimbal.stage2.stage1_features import build_datasets, compute_stage1_features
from tests.conftest import ROOT, tiny_digits, train
from tests.distributed import run_on_ranks

PLAIN = [dict(type='PackInputs')]


def config(work_dir, leaf='stage1_triplet', **loop):
    """Return a tiny config whose neck is an adapter."""
    cfg = tiny_digits(leaf, work_dir)
    channels = cfg.model.head.in_channels
    cfg.model.neck = dict(type='mmimbal.AdapterNeck', in_channels=channels)
    epochs = cfg.train_cfg.max_epochs
    loop.setdefault('cache_dir', str(work_dir / 'features'))
    cfg.train_cfg = dict(type='mmimbal.AdapterTrainLoop', max_epochs=epochs, **loop)
    return cfg


class FrozenBackbone(Hook):
    """Freeze the backbone, as the loop does."""

    priority = 'VERY_HIGH'

    def before_train(self, runner):
        freeze(unwrap_model(runner.model).backbone, update_bn=False)


def test_one_plain_view_is_training_without_a_cache(tmp_path):
    cfg = config(tmp_path / 'a')
    cfg.train_dataloader.dataset.pipeline = PLAIN
    cached = train(cfg)
    cfg = config(tmp_path / 'b')
    cfg.train_dataloader.dataset.pipeline = PLAIN
    cfg.train_cfg = dict(by_epoch=True, max_epochs=cfg.train_cfg.max_epochs)
    without = train(cfg, FrozenBackbone())
    expected = without.model.state_dict()
    for key, value in cached.model.state_dict().items():
        torch.testing.assert_close(value, expected[key], rtol=1e-4, atol=1e-5)
    scores = [
        runner.message_hub.get_scalar('val/balanced_accuracy').data[0]
        for runner in (without, cached)
    ]
    assert scores[0].tolist() == scores[1].tolist()


class KeepStart(Hook):
    def before_train(self, runner):
        state = unwrap_model(runner.model).state_dict()
        self.start = {key: value.clone() for key, value in state.items()}


def test_the_adapter_and_the_head_learn_and_the_backbone_does_not(tmp_path):
    keep = KeepStart()
    runner = train(config(tmp_path, views=2), keep)
    for key, value in runner.model.state_dict().items():
        assert value.equal(keep.start[key]) == key.startswith('backbone')
    assert 'extract_feat' not in vars(runner.model)
    last = runner.message_hub.get_scalar('val/balanced_accuracy').data[0][-1]
    runner.val_loop.run()  # on images
    again = runner.message_hub.get_scalar('val/balanced_accuracy').data[0][-1]
    assert again == last


@pytest.mark.parametrize('loop', ['Adapter', 'CachedFeatures'])
def test_stage_2_follows_and_is_published(loop, tmp_path):
    train(config(tmp_path / 'stage1'))
    cfg = config(tmp_path / 'stage2', 'stage2_crt')
    cfg.train_cfg.type = f'mmimbal.{loop}TrainLoop'
    cfg.default_hooks.two_stage.stage1 = str(tmp_path / 'stage1' / 'epoch_2.pth')
    train(cfg)
    first, second = (
        load_from_local(tmp_path / name / 'epoch_2.pth', 'cpu')['state_dict']
        for name in ('stage1', 'stage2')
    )
    assert all(second[key].equal(first[key]) for key in first if key[:4] != 'head')
    assert not second['head.fc.weight'].equal(first['head.fc.weight'])
    model = load_predictor([tmp_path / 'stage2']).model
    assert type(model.neck).__name__ == 'AdapterNeck'


class KeepNeck(Hook):
    def __init__(self):
        self.after = []

    def after_train_epoch(self, runner):
        self.after.append(runner.model.neck.adapter[0].weight.clone())


def test_both_stages_in_one_run(tmp_path):
    cfg = config(tmp_path, 'two_stage_triplet_crt')
    cfg.train_cfg.max_epochs = 3
    cfg.default_hooks.two_stage.epoch = 2
    keep = KeepNeck()
    train(cfg, keep)
    assert not keep.after[0].equal(keep.after[1])
    assert keep.after[1].equal(keep.after[2])  # of stage 2


def test_a_second_stage_has_features_of_its_own_images(tmp_path):
    cfg = config(tmp_path, 'two_stage_triplet_crt')
    cfg.train_cfg.max_epochs = 2
    cfg.default_hooks.two_stage.epoch = 1
    other = dict(pipeline=PLAIN)
    cfg.default_hooks.two_stage.stage2.train_dataloader.dataset = other
    train(cfg)
    shapes = [
        json.loads(file.read_text())['shape']
        for file in (tmp_path / 'features').glob('*/meta.json')
    ]
    assert len(shapes) == 3  # of both stages, and of validation
    assert sorted(shape[1] for shape in shapes) == [200, 291, 291]


def test_adapters_share_the_features(tmp_path, monkeypatch):
    features = str(tmp_path / 'features')
    first = config(tmp_path / 'a', cache_dir=features)
    weights = tmp_path / 'backbone.pth'
    torch.save(MODELS.build(first.model.backbone).state_dict(), weights)
    first.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(weights))
    train(first)
    monkeypatch.setattr('mmimbal.stage2.feature_cache.extract', None)
    cfg = config(tmp_path / 'b', 'stage1_ce', cache_dir=features)
    cfg.model.backbone.init_cfg = first.model.backbone.init_cfg
    cfg.model.neck.update(ratio=1.0, reduction=2)
    train(cfg)


def test_a_sweep_takes_the_features_of_the_backbone_from_stage_1(tmp_path, monkeypatch):
    stage1 = config(tmp_path, views=2)
    weights = tmp_path / 'backbone.pth'  # stage 2 does not need them
    torch.save(MODELS.build(stage1.model.backbone).state_dict(), weights)
    stage1.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(weights))
    train(stage1)
    checkpoint = tmp_path / 'epoch_2.pth'
    method = Config.fromfile(ROOT / 'configs/_base_/stage2/crt.py')
    cfg = stage2_config(stage1, method, checkpoint, views=2)
    datasets = build_datasets(cfg, ('train', 'val'))
    from_images = compute_stage1_features(cfg, datasets, checkpoint, tmp_path / 'a', 2)
    monkeypatch.setattr('mmimbal.stage2.feature_cache.extract', None)
    shared = compute_stage1_features(
        cfg, datasets, checkpoint, tmp_path / 'b', 2, 'float32', tmp_path / 'features'
    )
    model = MODELS.build(dict(cfg.model, head=None)).eval()
    load_stage1(model, checkpoint)
    image = datasets['val'][3]['inputs']
    inputs = model.data_preprocessor(dict(inputs=[image]), False)['inputs']
    with torch.no_grad():
        expected = model.extract_feat(inputs)[-1][0]
    for split in ('train', 'val'):
        ours, wanted = shared.features[split], from_images.features[split]
        assert np.allclose(ours, wanted, rtol=1e-4, atol=1e-5)
    features = torch.tensor(shared.features['val'][0, 3])
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)


def change_neck(cfg):
    cfg.model.neck = dict(type='GlobalAveragePooling')


def change_size(cfg):
    cfg.model.neck.in_channels = 8


def use_views(cfg):
    cfg.model.data_preprocessor.type = 'mmimbal.MultiViewDataPreprocessor'


def use_mixup(cfg):
    cfg.model.data_preprocessor.num_classes = 10
    cfg.model.train_cfg = dict(augments=dict(type='Mixup', alpha=0.2))
    cfg.model.head = dict(type='LinearClsHead', num_classes=10, in_channels=32)
    cfg.model.head.loss = dict(type='CrossEntropyLoss', use_soft=True)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (change_neck, "neck=dict.*'mmimbal.AdapterNeck'.*not GlobalAveragePooling"),
        (change_size, 'features of size 32: set model.neck.in_channels, which is 8'),
        (use_views, 'without views, such as triplet'),
        (use_mixup, 'which cached features do not allow'),
    ],
)
def test_what_cannot_be_trained_is_named(change, message, tmp_path):
    cfg = config(tmp_path)
    change(cfg)
    with pytest.raises(ValueError, match=message):
        train(cfg)


def train_on_rank(rank, world_size, folder, diff_rank_seed=False):
    cfg = config(folder / str(world_size), 'stage1_ce')
    cfg.randomness.diff_rank_seed = diff_rank_seed
    if world_size > 1:
        os.environ['LOCAL_RANK'] = str(rank)
        cfg.launcher = 'pytorch'
        cfg.model_wrapper_cfg = dict(type='MMDistributedDataParallel', device_ids=None)
    cfg.train_dataloader.update(batch_size=32 // world_size, drop_last=True)
    cfg.train_dataloader.dataset.pipeline = PLAIN
    state = unwrap_model(train(cfg).model).state_dict()
    return {key: value.numpy() for key, value in state.items()}


def test_two_ranks_take_the_steps_of_one_process(tmp_path):
    (alone,) = run_on_ranks(1, train_on_rank, 1, tmp_path)
    for weights in run_on_ranks(2, train_on_rank, 2, tmp_path):
        for key, value in weights.items():
            assert np.allclose(value, alone[key], rtol=1e-3, atol=1e-5), key


def test_ranks_with_seeds_of_their_own_share_the_features(tmp_path):
    first, second = run_on_ranks(2, train_on_rank, 2, tmp_path, True)
    assert all(np.array_equal(value, second[key]) for key, value in first.items())
    assert len(list(tmp_path.rglob('features.bin'))) == 2  # of train and val
