import pytest
import torch
from mmpretrain.structures import DataSample

from mmimbal.registry import MODELS

K, D = 3, 4


def build():
    return MODELS.build(
        dict(
            type='mmimbal.TunedClassifierClsHead',
            num_classes=K,
            in_channels=D,
            loss=dict(type='LabelSmoothLoss', label_smooth_val=0.98),
        )
    )


def test_it_begins_where_stage_1_ended_and_learns_on():
    head, features = build(), torch.randn(6, D)
    state = {'fc.weight': torch.randn(K, D), 'fc.bias': torch.randn(K)}
    samples = [DataSample().set_gt_label(n % K) for n in range(6)]
    with pytest.raises(RuntimeError, match='TunedClassifierClsHead needs the class'):
        head.loss((features,), samples)
    head.load_stage1(state)
    expected = features @ state['fc.weight'].T + state['fc.bias']
    torch.testing.assert_close(head((features,)), expected)
    head.loss((features,), samples)['loss'].backward()
    assert head.fc.weight.grad.any() and head.fc.bias.grad.any()
    resumed = build()
    resumed.load_state_dict(head.state_dict())
    assert resumed.loss((features,), samples)['loss'].isfinite()
