"""ONNX files compute what PyTorch does, with any number of images."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModule
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS

from mmimbal.command_line.experiment import words_of
from mmimbal.evaluation.recalibration import Calibration
from mmimbal.inference.decisions import Decisions
from mmimbal.inference.find_images import find_images
from mmimbal.inference.for_inference import inference_config
from mmimbal.inference.image_size import size_of_images
from mmimbal.inference.onnx_file import (
    FromBytes,
    difference_from_torch,
    open_session,
    write_onnx,
)
from mmimbal.inference.predictor import Predictor, load_predictor
from tests.conftest import CONFIGS

SIZE = (32, 32)


@MODELS.register_module()
class OneConvolution(BaseModule):
    """The smallest backbone."""

    def __init__(self):
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 64, 4, 4)

    def forward(self, x):
        return (self.convolution(x).relu(),)


def predictor_of(model: dict) -> Predictor:
    init_default_scope('mmpretrain')
    built = MODELS.build(model)
    built.init_weights()
    built.eval()
    return Predictor(built, model, [], tuple('abc'), {})


def assert_equal(predictor, file, batch=5):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (batch, 3, *SIZE), dtype=np.uint8)
    (found,) = open_session(file).run(None, {'images': images})
    with torch.no_grad():
        expected = FromBytes(predictor.model)(torch.from_numpy(images)).numpy()
    assert found.shape == (batch, 3)
    assert np.allclose(found, expected, atol=1e-5)
    assert np.allclose(found.sum(1), 1, atol=1e-5)


def test_a_published_ensemble(data, members, tmp_path):
    predictor = load_predictor([members])
    write_onnx(predictor, tmp_path / 'x.onnx', (8, 8))
    files = find_images([data], 'test')
    largest, found = difference_from_torch(predictor, tmp_path / 'x.onnx', files)
    assert largest < 1e-5 and found == len(files)
    onnx.checker.check_model(onnx.load(tmp_path / 'x.onnx'))
    assert [path.name for path in tmp_path.iterdir()] == ['x.onnx']  # one file
    for batch in (1, 7):
        images = np.zeros((batch, 3, 8, 8), np.uint8)
        (found,) = open_session(tmp_path / 'x.onnx').run(None, {'images': images})
        assert found.shape == (batch, 3)


def test_a_model_without_a_head(tmp_path):
    model = dict(type='TimmClassifier', model_name='test_resnet', num_classes=3)
    predictor = predictor_of(model)
    write_onnx(predictor, tmp_path / 'x.onnx', SIZE)
    assert_equal(predictor, tmp_path / 'x.onnx')


def test_the_calibration_is_inside(data, members, tmp_path):
    calibration = Calibration(
        tuple('abc'),
        'vector',
        (0.5, 1.5, 0.8),
        (0.3, -0.2, 0.1),
        (0.3, 0.3, 0.4),
        (0.8, 0.1, 0.1),
    )
    plain = load_predictor([members / 'fold0'])
    predictor = replace(plain, decisions=Decisions(tuple('abc'), calibration))
    write_onnx(predictor, tmp_path / 'x.onnx', (8, 8))
    files = find_images([data], 'test')
    largest, found = difference_from_torch(predictor, tmp_path / 'x.onnx', files)
    assert largest < 1e-5 and found == len(files)
    assert difference_from_torch(plain, tmp_path / 'x.onnx', files)[0] > 0.1
    files[0] = str(tmp_path / 'missing.png')
    _, found = difference_from_torch(predictor, tmp_path / 'x.onnx', files)
    assert found == len(files) - 1


def test_a_file_that_gives_nan_is_refused(data, members, tmp_path, monkeypatch):
    session = SimpleNamespace(run=lambda _, inputs: [np.full((len(inputs), 3), np.nan)])
    monkeypatch.setattr('mmimbal.inference.onnx_file.open_session', lambda _: session)
    files = find_images([data], 'test')
    with pytest.raises(ValueError, match='probabilities that are not finite'):
        difference_from_torch(
            load_predictor([members / 'fold0']), tmp_path / 'x.onnx', files
        )


@pytest.mark.parametrize('to_rgb', [True, False])
def test_colours_are_in_the_order_of_the_model(to_rgb):
    """The input is RGB; the means of a model are in the order that it sees."""
    model = dict(
        type='ImageClassifier',
        data_preprocessor=dict(
            mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0], to_rgb=to_rgb
        ),
        backbone=dict(type='OneConvolution'),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=3, in_channels=64),
    )
    predictor = predictor_of(model)
    bgr = torch.randint(0, 256, (4, 3, *SIZE), dtype=torch.uint8)
    with torch.no_grad():
        samples = predictor.model.test_step(dict(inputs=list(bgr)))
        found = FromBytes(predictor.model)(bgr.flip(1))
    expected = torch.stack([sample.pred_score for sample in samples])
    torch.testing.assert_close(found, expected)


HEADS = sorted(
    {
        Config.fromfile(CONFIGS / f'_base_/stage2/{word}.py').stage2_head.type
        for word in words_of('stage2')
    }
)


@pytest.mark.parametrize('head', HEADS)
def test_every_head_that_can_be_published(head, tmp_path):
    options = dict(type=head, num_classes=3, in_channels=64)
    predictor = predictor_of(
        dict(
            type='ImageClassifier',
            backbone=dict(type='OneConvolution'),
            neck=dict(type='GlobalAveragePooling'),
            head=options,
        )
    )
    model_head = predictor.model.head
    if hasattr(model_head, 'fit'):
        features = torch.randn(60, 64)
        if hasattr(model_head, 'load_stage1'):
            state = dict(fc=torch.randn(3, 64))
            model_head.load_stage1({'fc.weight': state['fc'], 'fc.bias': torch.ones(3)})
        model_head.fit(features, torch.arange(60) % 3)
    write_onnx(predictor, tmp_path / 'x.onnx', SIZE)
    assert_equal(predictor, tmp_path / 'x.onnx')


@pytest.mark.slow
@pytest.mark.parametrize(
    'net', ['mobilenet_v2', 'efficientnet_lite0', 'resnet18_half', 'resnet50']
)
def test_the_nets_of_profiles(net, tmp_path):
    """Half a minute each."""
    cfg = Config.fromfile(CONFIGS / f'_base_/models/{net}.py')
    cfg.model.head.update(type='LinearClsHead', num_classes=3)
    cfg.test_dataloader = dict(dataset=dict(pipeline=[dict(type='PackInputs')]))
    predictor = predictor_of(inference_config(cfg).model.to_dict())
    write_onnx(predictor, tmp_path / 'x.onnx', SIZE)
    assert_equal(predictor, tmp_path / 'x.onnx', batch=3)


def test_the_size_is_that_of_the_pipeline():
    for px in (64, 96, 224):
        cfg = Config.fromfile(CONFIGS / f'_base_/pipelines/{px}px.py')
        assert size_of_images(cfg.test_pipeline) == (px, px)
    with pytest.raises(ValueError, match='images of several sizes'):
        size_of_images([dict(type='LoadImageFromFile'), dict(type='PackInputs')])
