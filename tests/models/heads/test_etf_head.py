import copy

import pytest
import torch
from mmengine.config import Config
from mmpretrain.structures import DataSample
from torch.nn import functional as F

from mmimbal.models.losses import DotRegressionLoss
from mmimbal.registry import MODELS
from tests.conftest import CONFIGS

K, D = 4, 6
LABELS = torch.tensor([0, 1, 2, 3, 0])
SAMPLES = [DataSample().set_gt_label(int(label)) for label in LABELS]
BASE = Config.fromfile(CONFIGS / '_base_/stage1/etf.py').head.to_dict()


def build(**options):
    cfg = dict(copy.deepcopy(BASE), num_classes=K, in_channels=D, **options)
    head = MODELS.build(cfg)
    head.init_weights()
    return head


def test_the_loss_regresses_the_logit_of_the_true_class():
    head, features = build(), torch.randn(5, D, requires_grad=True)
    total = 0
    for x, label in zip(features, LABELS, strict=True):
        h = head.projection.weight @ x + head.projection.bias
        dot = 16 * head.corners[label] @ (h / h.norm())
        total = total + (dot - 16) ** 2 / (2 * 16)
    value = head.loss((features,), SAMPLES)['loss']
    torch.testing.assert_close(value, total / 5)
    value.backward()
    assert features.grad.isfinite().all() and features.grad.any()


def test_the_base_gives_the_loss_the_scale_of_the_head():
    head = build()
    assert head.loss_module.scale == head.scale.item()


def test_class_weights_are_a_simplex_and_do_not_learn():
    head = build()
    expected = torch.full((K, K), -1 / (K - 1)).fill_diagonal_(1)
    torch.testing.assert_close(
        head.corners @ head.corners.T, expected, atol=1e-5, rtol=0
    )
    names = {name for name, _ in head.named_parameters()}
    assert names == {'projection.weight', 'projection.bias'}
    other = build(seed=1)
    other.load_state_dict(head.state_dict())
    features = (torch.randn(5, D),)
    assert other(features).equal(head(features))


def test_training_reaches_the_corners_from_features_that_are_not_negative():
    head = build(embedding_size=3)
    features = torch.nn.Parameter(torch.rand(5, D))
    optimizer = torch.optim.Adam([features, *head.parameters()], 0.05)
    for _ in range(200):
        optimizer.zero_grad()
        loss = head.loss((features.relu(),), SAMPLES)['loss']
        loss.backward()
        optimizer.step()
    assert loss < 1e-2 and head((features.relu(),)).argmax(1).equal(LABELS)


def test_mixtures_and_weights_as_in_mmpretrain():
    loss, logits = DotRegressionLoss(scale=2.0), torch.rand(5, K)
    shares = torch.rand(5, K).softmax(1)
    expected = sum(
        shares[i, k] * (logits[i, k] - 2) ** 2 / 4 for i in range(5) for k in range(K)
    )
    torch.testing.assert_close(loss(logits, shares), expected / 5)
    one_hot = F.one_hot(LABELS, K).float()
    torch.testing.assert_close(loss(logits, LABELS), loss(logits, one_hot))
    weight = torch.tensor([1.0, 0, 0, 0, 0])
    found = loss(logits, LABELS, weight, avg_factor=5)
    assert found.item() == pytest.approx(((logits[0, 0] - 2) ** 2 / 4).item() / 5)


def test_logits_are_float32_under_autocast():
    with torch.autocast('cpu', torch.bfloat16):
        losses = build().loss((torch.randn(5, D).bfloat16(),), SAMPLES)
    assert losses['loss'].dtype == torch.float32 and losses['loss'].isfinite()


def test_stage_2_that_goes_on_from_a_linear_classifier_refuses_it():
    lws = MODELS.build(dict(type='mmimbal.LWSClsHead', num_classes=K, in_channels=D))
    with pytest.raises(ValueError, match='LWSClsHead needs a classifier'):
        lws.load_stage1(build().state_dict())


def test_bad_options_are_named():
    with pytest.raises(ValueError, match=r'size 2 has 3 corners, .* set .* to 3'):
        build(embedding_size=2)
    with pytest.raises(ValueError, match='scale=0 must be positive'):
        DotRegressionLoss(scale=0)
    with pytest.raises(ValueError, match='at least 2 classes'):
        MODELS.build(dict(type='mmimbal.ETFClsHead', num_classes=1, in_channels=D))


def test_head_and_loss_have_one_scale():
    assert build(scale=4.0, loss=None).loss_module.scale == 4
    loss = dict(type='mmimbal.DotRegressionLoss', scale=16.0)
    with pytest.raises(ValueError, match=r'head has scale=4, .* has scale=16'):
        build(scale=4.0, loss=loss)
