import re

import pytest
import torch
from mmpretrain.registry import MODELS
from torch import nn

from mmimbal.datasets import DigitsLT
from mmimbal.stage2 import stage1
from mmimbal.stage2.freezing import freeze
from mmimbal.stage2.fresh_head import build_fresh_head
from mmimbal.stage2.stage1 import find_stage1, load_stage1, warning_of_early_end
from tests.conftest import tiny_digits

BACKBONES = {
    'ResNet': (dict(type='ResNet', depth=18, stem_channels=8, base_channels=8), 64),
    'Swin': (
        dict(
            type='SwinTransformer',
            img_size=64,
            arch=dict(embed_dims=16, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2]),
            window_size=2,
            drop_path_rate=0.2,
        ),
        128,
    ),
    'ConvNeXt': (
        dict(
            type='ConvNeXt',
            arch=dict(depths=[1, 1, 1, 1], channels=[8, 8, 16, 16]),
            drop_path_rate=0.2,
        ),
        16,
    ),
    'DenseNet': (
        dict(
            type='DenseNet',
            arch=dict(growth_rate=4, depths=[1, 1, 1, 1], init_channels=8),
        ),
        8,
    ),
    'ViT': (
        dict(
            type='VisionTransformer',
            img_size=64,
            arch=dict(
                embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=16
            ),
            out_type='cls_token',
            drop_rate=0.1,
        ),
        16,
    ),
}


def classifier(backbone: dict, in_channels: int, neck: str | None) -> nn.Module:
    return MODELS.build(
        dict(
            type='ImageClassifier',
            backbone=backbone,
            neck=neck and dict(type=neck),
            head=dict(type='LinearClsHead', num_classes=3, in_channels=in_channels),
        )
    )


def train_steps(model: nn.Module, steps: int = 3) -> None:
    """Train as mmengine does: model.train() first, then steps on all parameters."""
    torch.manual_seed(0)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=0.1)
    model.train()
    for _ in range(steps):
        features = model.extract_feat(torch.randn(4, 3, 64, 64))
        nn.functional.cross_entropy(
            model.head(features), torch.tensor([0, 1, 2, 0])
        ).backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize('name', BACKBONES)
@pytest.mark.parametrize('neck', ['pool', 'bn'])
def test_nothing_frozen_changes_by_a_bit(name, neck):
    backbone, in_channels = BACKBONES[name]
    necks = 'GlobalAveragePooling' if name not in ('ConvNeXt', 'ViT') else None
    model = classifier(backbone, in_channels, necks)
    model.init_weights()
    if neck == 'bn':  # a neck with weights and statistics of its own
        model.neck = nn.Sequential(model.neck or nn.Identity(), _BN(in_channels))
    train_steps(model, 1)
    freeze(model.backbone, update_bn=False)
    if model.neck is not None:
        freeze(model.neck, update_bn=False)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    train_steps(model)
    changed = {
        key for key, value in model.state_dict().items() if not value.equal(before[key])
    }
    assert changed == {'head.fc.weight', 'head.fc.bias'}


class _BN(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.bn = nn.BatchNorm1d(channels)

    def forward(self, feats):
        return (self.bn(feats[-1]),)


def test_updated_batch_norm_changes_statistics_only():
    model = classifier(*BACKBONES['ResNet'], 'GlobalAveragePooling')
    model.init_weights()
    freeze(model.backbone, update_bn=True)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    train_steps(model)
    changed = {
        key for key, value in model.state_dict().items() if not value.equal(before[key])
    }
    assert 'backbone.bn1.running_mean' in changed
    statistics = ('running_mean', 'running_var', 'num_batches_tracked')
    assert all(key.startswith('head') or key.endswith(statistics) for key in changed)


def test_load_stage1_takes_the_backbone_only(tmp_path):
    trained, fresh = (classifier(*BACKBONES['ResNet'], None) for _ in range(2))
    head = fresh.head.fc.weight.clone()
    torch.save({'state_dict': trained.state_dict()}, tmp_path / 'stage1.pth')
    load_stage1(fresh, tmp_path / 'stage1.pth')
    assert fresh.head.fc.weight.equal(head)
    for key, value in trained.backbone.state_dict().items():
        assert fresh.backbone.state_dict()[key].equal(value)


def test_other_shapes_are_named(tmp_path):
    wide = dict(BACKBONES['ResNet'][0], base_channels=16)
    torch.save(
        {'state_dict': classifier(wide, 128, None).state_dict()}, tmp_path / 'wide.pth'
    )
    model = classifier(*BACKBONES['ResNet'], None)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=r'with another shape \(backbone\.layer1\.0\.'):
        load_stage1(model, tmp_path / 'wide.pth')
    assert all(value.equal(before[key]) for key, value in model.state_dict().items())


def test_missing_and_unexpected_layers_are_named(tmp_path):
    model = classifier(*BACKBONES['ResNet'], None)
    state = model.state_dict()
    state['backbone.extra'] = state.pop('backbone.conv1.weight')
    torch.save({'state_dict': state}, tmp_path / 'odd.pth')
    pattern = (
        r'missing in the checkpoint \(backbone\.conv1.*not in the model \(backbone\.e'
    )
    with pytest.raises(ValueError, match=pattern):
        load_stage1(model, tmp_path / 'odd.pth')


@pytest.mark.parametrize(
    ('path', 'how'),
    [
        ('work_dirs/isic/stage1_triplet', 'configs/isic/stage1_triplet.py'),
        ('work_dirs/isic/stage1_triplet/last.pth', 'configs/isic/stage1_triplet.py'),
        ('work_dirs/isic/stage1_bcl', 'CONFIG --work-dir work_dirs/isic/stage1_bcl'),
        ('/my/run', 'without its last word, or with CONFIG --work-dir /my/run'),
        ('run/last.pth', 'CONFIG --work-dir run'),
    ],
)
def test_missing_stage1_says_how_to_train_it(path, how):
    message = f'Train it first: .*{re.escape(how)}. .*: --stage1 PATH'
    with pytest.raises(FileNotFoundError, match=message):
        find_stage1(path)


def test_fresh_head_is_new_and_the_same_for_a_seed():
    cfg = dict(type='LinearClsHead', num_classes=3, in_channels=4)
    old = MODELS.build(cfg)
    state = torch.get_rng_state()
    one, again, other = (build_fresh_head(old, cfg, seed) for seed in (0, 0, 1))
    assert torch.get_rng_state().equal(state)
    assert one.fc.weight.equal(again.fc.weight)
    assert not one.fc.weight.equal(other.fc.weight)
    assert not one.fc.weight.equal(old.fc.weight)
    assert one.fc.weight.std() < 0.03  # initialised, not torch's default


@pytest.mark.parametrize(
    'cfg',
    [
        dict(type='LinearClsHead', num_classes=4, in_channels=4),
        dict(
            type='StackedLinearClsHead', num_classes=3, in_channels=4, mid_channels=[2]
        ),
    ],
)
def test_another_head_needs_a_run_of_its_own(cfg):
    old = MODELS.build(dict(type='LinearClsHead', num_classes=3, in_channels=4))
    with pytest.raises(ValueError, match='Run stage 2 with a separate config'):
        build_fresh_head(old, cfg, 0)


@pytest.mark.parametrize('head', ['mmimbal.LWSClsHead', 'LinearClsHead', None])
def test_the_classifier_of_other_classes_is_refused(tmp_path, head):
    """A new head may be for other classes than stage 1."""
    cfg = tiny_digits('stage1_ce', tmp_path)
    stage1 = MODELS.build(cfg.model)
    meta = dict(dataset_meta=dict(classes=[str(n) for n in range(9, -1, -1)]))
    file = tmp_path / 'stage1.pth'
    torch.save(dict(state_dict=stage1.state_dict(), meta=meta), file)
    head = head and dict(type=head, num_classes=10, in_channels=32)
    model, dataset = MODELS.build(dict(cfg.model, head=head)), DigitsLT('train')
    if head and head['type'] == 'LinearClsHead':
        load_stage1(model, file, dataset)
        return
    with pytest.raises(ValueError, match='was trained on the classes 9, 8, '):
        load_stage1(model, file, dataset)


@pytest.mark.parametrize(
    ('loss', 'tau', 'warns'),
    [
        ('LogitAdjustmentLoss', 1.0, True),
        ('LogitAdjustmentLoss', 0.0, False),
        (None, 1.0, False),
    ],
)
def test_adjusting_twice_is_said(tmp_path, monkeypatch, loss, tau, warns):
    said = []
    monkeypatch.setattr(stage1, 'print_log', lambda line, **_: said.append(line))
    cfg = tiny_digits('stage1_ce', tmp_path)
    meta = dict(rebalanced_by=loss) if loss else {}
    file = tmp_path / 'stage1.pth'
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict(), meta=meta), file)
    kind = 'mmimbal.LogitAdjustedClsHead'
    head = dict(type=kind, num_classes=10, in_channels=32, tau=tau)
    load_stage1(MODELS.build(dict(cfg.model, head=head)), file)
    assert bool(said) == warns
    assert not warns or 'Set model.head.tau=0' in said[0]


@pytest.mark.parametrize(
    ('name', 'epoch', 'last', 'told'),
    [
        ('epoch_3.pth', 3, 'epoch_3.pth', 'has done 3 of 10 epochs'),
        ('best_x_epoch_3.pth', 3, 'epoch_5.pth', 'has done 5 of 10 epochs'),
        ('best_x_epoch_3.pth', 3, 'epoch_10.pth', None),
        ('best_x_epoch_3.pth', 3, None, None),  # copied alone
        ('epoch_10.pth', 10, None, None),
        ('epoch_3.pth', 3, None, None),
        ('mine.pth', 3, 'epoch_3.pth', None),  # of another run, perhaps
    ],
)
def test_a_stage_1_that_was_stopped_is_told(name, epoch, last, told, tmp_path):
    meta = dict(epoch=epoch, numbers={'train_cfg.max_epochs': 10})
    if last:
        (tmp_path / 'last_checkpoint').write_text(str(tmp_path / last))
    warning = warning_of_early_end(tmp_path / name, meta)
    assert bool(warning) == bool(told) and (told or '') in warning
    assert not warning_of_early_end(tmp_path / name, {})  # of another program
