"""Every config loads, builds, takes a training and a validation step."""

import pytest
import torch
from mmengine.config import Config
from mmengine.runner.checkpoint import CheckpointLoader
from mmpretrain.apis import ModelHub

from mmimbal.files import checkpoint
from mmimbal.files.checkpoint import safe_loading
from mmimbal.registry import MODELS
from tests.conftest import CONFIGS, rows_of, train, write_index

LEAVES = sorted(
    str(path.relative_to(CONFIGS))
    for path in CONFIGS.glob('*/*.py')
    if path.parent.name not in ('_base_', 'grids')
)


def shrink(model: dict) -> None:
    """Make a net thin or shallow."""
    backbone = model.backbone
    if backbone.type == 'TIMMBackbone':
        backbone.update(model_name='test_convnext', pretrained=False)
        model.head.in_channels = 64
    elif backbone.type == 'VisionTransformer':
        sizes = dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32)
        backbone.arch = sizes
        model.neck.in_channels = model.head.in_channels = 16
    elif backbone.type == 'MobileNetV2':
        backbone.widen_factor = 0.1
    elif backbone.depth == 50:
        backbone.update(stem_channels=8, base_channels=8)
        model.head.in_channels = 256


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Write tiny data sets with the classes of the real ones; return their folder."""
    root = tmp_path_factory.mktemp('data')
    classes = {}
    for path in (CONFIGS / '_base_/datasets').glob('*.py'):
        cfg = Config.fromfile(path)
        names = cfg.get('classes', map(str, range(cfg.num_classes)))
        classes[path.stem] = list(names)
    for name, names in classes.items():
        rows = rows_of(names, {'train': 1, 'val': 1, 'test': 1})
        write_index(root / name, rows, 32)
    return root


@pytest.fixture
def load(data, monkeypatch, tmp_path):
    """Return a function that loads a leaf and cuts it down to one step an epoch."""
    monkeypatch.setenv('MMIMBAL_DATA', str(data))

    def load(leaf: str) -> Config:
        cfg = Config.fromfile(CONFIGS / leaf)
        cfg.work_dir = str(tmp_path / leaf)
        cfg.log_level = 'WARNING'
        cfg.model.backbone.init_cfg = None
        shrink(cfg.model)
        cfg.train_dataloader.batch_size = 300
        cfg.train_cfg.max_epochs = 1
        for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
            loader.update(num_workers=0, persistent_workers=False)
        return cfg

    return load


@pytest.mark.parametrize('leaf', LEAVES)
def test_leaf_takes_a_step(leaf, load, tmp_path):
    cfg = load(leaf)
    hooks = [*cfg.default_hooks.values(), *cfg.get('custom_hooks', [])]
    for hook in hooks:
        if hook['type'] == 'mmimbal.TwoStageHook' and hook.get('stage1'):
            stage1 = MODELS.build(cfg.model)
            torch.save({'state_dict': stage1.state_dict()}, tmp_path / 'stage1.pth')
            hook['stage1'] = str(tmp_path / 'stage1.pth')
        elif hook['type'] == 'mmimbal.TwoStageHook':
            hook['epoch'] = 1
            cfg.train_cfg.max_epochs = 2
    runner = train(cfg)
    assert runner.iter == cfg.train_cfg.max_epochs
    assert 0 <= runner.message_hub.get_scalar('val/balanced_accuracy').current() <= 100


@pytest.mark.parametrize('leaf', [leaf for leaf in LEAVES if 'examples' not in leaf])
def test_work_dir_is_named_after_the_leaf(leaf):
    assert Config.fromfile(CONFIGS / leaf).work_dir == f'work_dirs/{leaf[:-3]}'


@pytest.mark.parametrize('leaf', [leaf for leaf in LEAVES if 'stage2' in leaf])
def test_stage_2_follows_its_stage_1(leaf):
    """The stage 1 it names exists, and has the same backbone and neck."""
    cfg = Config.fromfile(CONFIGS / leaf)
    name = cfg.default_hooks.two_stage.stage1.removeprefix('work_dirs/')
    stage1 = Config.fromfile(CONFIGS / f'{name}.py')
    for part in ('backbone', 'neck', 'data_preprocessor'):
        ours, theirs = dict(cfg.model.get(part)), dict(stage1.model.get(part))
        ours.pop('init_cfg', None), theirs.pop('init_cfg', None)
        assert ours == theirs
    assert stage1.work_dir == cfg.default_hooks.two_stage.stage1


def test_imagenet_weights_are_those_the_installed_mmpretrain_publishes(monkeypatch):
    loaded = []

    def load(url, map_location):
        loaded.append(url)
        net = MODELS.build(dict(type='ResNet', depth=50))
        return {f'backbone.{key}': value for key, value in net.state_dict().items()}

    monkeypatch.setattr(checkpoint, 'load_from_http', load)
    cfg = Config.fromfile(CONFIGS / '_base_/models/resnet50.py')
    backbone = MODELS.build(cfg.model.backbone)
    with safe_loading():
        backbone.init_weights()
    assert loaded == [ModelHub.get('resnet50_8xb32_in1k').weights]
    assert loaded[0].startswith('https://')


def test_a_model_that_mmpretrain_does_not_have_is_named():
    with safe_loading(), pytest.raises(ValueError, match='has no model resnet51'):
        CheckpointLoader.load_checkpoint('mmpretrain://resnet51')
