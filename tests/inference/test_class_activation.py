"""Class activation maps, against plain computations."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.model import BaseModel
from mmpretrain.registry import MODELS
from torch import nn

from mmimbal.inference.class_activation import class_activation_maps
from mmimbal.inference.for_inference import inference_config
from mmimbal.models import heads

CLASSES = 3
CHANNELS = 16
HEADS = sorted(f'mmimbal.{name}' for name in vars(heads) if name.endswith('ClsHead'))


@MODELS.register_module()
class TwoConvolutions(nn.Module):
    """A backbone with two outputs; of vectors, if its last map is averaged."""

    def __init__(self, averaged=False, stride=4):
        super().__init__()
        self.first = nn.Conv2d(3, 5, 3, 2, padding=1)
        self.second = nn.Conv2d(5, CHANNELS, 2, stride // 2)
        self.averaged = averaged

    def forward(self, x):
        first = self.first(x).relu()
        second = self.second(first).relu()
        return first, second.mean((2, 3)) if self.averaged else second


@MODELS.register_module()
class HeadWithoutGradient(heads.NearestMeanClsHead):
    def forward(self, feats):
        return super().forward(feats).round()


HeadWithoutGradient.forward = torch.no_grad()(HeadWithoutGradient.forward)


def model_config(head, **backbone) -> dict:
    return dict(
        type='ImageClassifier',
        backbone=dict(type='TwoConvolutions', **backbone),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type=head, num_classes=CLASSES, in_channels=CHANNELS),
    )


def published(head, **backbone) -> BaseModel:
    """Return a classifier as tools/publish.py leaves it, with random weights."""
    model = model_config(head, **backbone)
    pipeline = dict(dataset=dict(pipeline=[dict(type='PackInputs')]))
    cfg = inference_config(Config(dict(model=model, test_dataloader=pipeline)))
    built = MODELS.build(cfg.model)
    if hasattr(built.head, 'load_stage1'):
        state = {'fc.weight': torch.randn(CLASSES, CHANNELS), 'fc.bias': torch.ones(3)}
        built.head.load_stage1(state)
    if hasattr(built.head, 'fit'):
        built.head.fit(torch.rand(60, CHANNELS), torch.arange(60) % CLASSES)
    return built.eval()


def scaled(map_):
    map_ = map_.clamp(min=0)
    return map_ / map_.max() if map_.max() > 0 else map_


def grad_cam(model, image, label, score=None):
    """Return the map of one image, with the gradient of all the parts at once."""
    features = model.backbone(image[None])[-1].detach().requires_grad_()
    (embedding,) = model.neck((features,))
    logit = score(embedding[0]) if score else model.head((embedding,))[0, label]
    logit.backward()
    total = torch.zeros(features.shape[2:])
    for channel in range(CHANNELS):
        weight = features.grad[0, channel].mean()
        total += weight * features[0, channel].detach()
    return scaled(total)


def images_and_classes():
    return torch.randn(5, 3, 16, 20), torch.tensor([0, 1, 2, 2, 0])


def test_of_a_linear_head_it_is_the_weighted_sum_of_the_features():
    model = published('LinearClsHead')
    inputs, classes = images_and_classes()
    maps = class_activation_maps(model, inputs, classes)
    features = model.backbone(inputs)[-1]
    assert maps.shape == (5, 4, 5) == features[:, 0].shape
    for found, image, label in zip(maps, features, classes, strict=True):
        expected = torch.einsum('c,chw->hw', model.head.fc.weight[label], image)
        torch.testing.assert_close(found, scaled(expected.detach()))
    assert (maps.amax((1, 2)) == 1).any() and maps.min() == 0


@pytest.mark.parametrize('head', HEADS)
def test_every_head_that_can_be_published(head):
    model = published(head)
    inputs, classes = images_and_classes()
    maps = class_activation_maps(model, inputs, classes)
    assert not maps.requires_grad and maps.amax() == 1
    for found, image, label in zip(maps, inputs, classes, strict=True):
        score = cosines_of_votes(model.head, label) if 'KNN' in head else None
        expected = grad_cam(model, image, label, score)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def cosines_of_votes(head, label):
    """Return a function of an embedding: the cosines of its neighbours of a class."""

    def score(embedding):
        cosines = torch.stack(
            [F.cosine_similarity(embedding, each, dim=0) for each in head.features]
        )
        nearest = cosines.argsort(descending=True)[: head.k]
        return sum(cosines[n] for n in nearest if head.labels[n] == label)

    return score


def test_of_a_resnet_it_is_that_of_the_weights():
    cfg = dict(
        type='ImageClassifier',
        backbone=dict(type='ResNet', depth=18, stem_channels=4, base_channels=4),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=CLASSES, in_channels=32),
    )
    model = MODELS.build(cfg).eval()
    inputs, classes = torch.randn(2, 3, 64, 64), torch.tensor([1, 2])
    maps = class_activation_maps(model, inputs, classes)
    with torch.no_grad():
        features = model.backbone(inputs)[-1]
        for found, image, label in zip(maps, features, classes, strict=True):
            expected = torch.einsum('c,chw->hw', model.head.fc.weight[label], image)
            torch.testing.assert_close(found, scaled(expected))
    assert maps.shape == (2, 2, 2)


def test_gradients_that_differ_between_places_are_averaged():
    model = published('LinearClsHead')
    model.neck = MODELS.build(dict(type='GeneralizedMeanPooling'))
    inputs, classes = images_and_classes()
    maps = class_activation_maps(model, inputs, classes)
    for found, image, label in zip(maps, inputs, classes, strict=True):
        expected = grad_cam(model, image, label)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def ensemble_of(*members) -> BaseModel:
    return MODELS.build(dict(type='mmimbal.EnsembleClassifier', members=members))


def test_an_ensemble_has_the_mean_map():
    model = ensemble_of(model_config('LinearClsHead'), model_config('LinearClsHead'))
    inputs, classes = images_and_classes()
    each = [class_activation_maps(one, inputs, classes) for one in model.members]
    found = class_activation_maps(model, inputs, classes)
    torch.testing.assert_close(found, (each[0] + each[1]) / 2)
    assert not torch.equal(*each)


def test_without_a_map_it_says_why():
    inputs, classes = images_and_classes()
    for model, reason in (
        (
            published('LinearClsHead', averaged=True),
            'output of TwoConvolutions is none',
        ),
        (published('HeadWithoutGradient'), 'logits of HeadWithoutGradient have none'),
        (nn.Identity(), 'need an ImageClassifier, got Identity'),
        (
            ensemble_of(
                model_config('LinearClsHead'), model_config('LinearClsHead', stride=8)
            ),
            r'different sizes: \[\(2, 3\), \(4, 5\)\]',
        ),
    ):
        with pytest.raises(ValueError, match=reason):
            class_activation_maps(model, inputs, classes)
