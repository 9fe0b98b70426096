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
