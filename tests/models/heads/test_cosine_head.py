import pytest
import torch
from torch.nn import functional as F

from mmimbal.registry import MODELS


def build(**options):
    return MODELS.build(
        dict(type='mmimbal.CosineClsHead', num_classes=3, in_channels=5, **options)
    )


def test_logits_are_scaled_cosines():
    head, features = build(scale=7.0), torch.randn(4, 5)
    expected = 7 * F.cosine_similarity(features[:, None], head.fc.weight[None], dim=2)
    torch.testing.assert_close(head((features,)), expected)
    torch.testing.assert_close(head((100 * features,)), expected)
    assert set(head.state_dict()) == {'fc.weight', 'scale'}


def test_cosines_are_exact_under_autocast():
    head, features = build(scale=30.0), torch.randn(200, 5).bfloat16()
    with torch.autocast('cpu', torch.bfloat16):
        found = head((features,))
    torch.testing.assert_close(found, head((features.float(),)))
    assert found.dtype == torch.float32 and len(found[:, 0].unique()) > 150


def test_scale_must_be_positive():
    with pytest.raises(ValueError, match='scale=0 must be positive'):
        build(scale=0)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize(
    'cfg',
    [
        dict(type='mmimbal.CosineClsHead'),
        dict(type='mmimbal.CosineMeansClsHead'),
        dict(type='mmimbal.ETFClsHead'),
        dict(type='mmimbal.CausalClsHead'),
        dict(
            type='mmimbal.MetricLearningClsHead',
            cosine_scale=16.0,
            metric_loss=dict(type='mmimbal.SupConLoss'),
        ),
    ],
    ids=lambda cfg: cfg['type'],
)
def test_weights_of_other_precisions(cfg, dtype):
    torch.manual_seed(0)
    head = MODELS.build(dict(cfg, num_classes=3, in_channels=8)).eval()
    features = torch.randn(4, 8)
    expected = head((features,))
    found = head.to(dtype)((features.to(dtype),))
    torch.testing.assert_close(found.float(), expected, rtol=0.02, atol=0.1)


def test_a_loss_with_another_scale_is_refused():
    loss = dict(type='mmimbal.LDAMLoss')
    with pytest.raises(ValueError, match=r'has scale=16, but its loss has scale=30'):
        build(loss=loss)
    build(loss=loss, scale=30.0)
    build(loss=dict(loss, scale=16.0))
