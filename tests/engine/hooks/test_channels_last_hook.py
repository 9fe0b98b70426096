import torch

from tests.conftest import tiny_digits, train


def test_convolutions_are_channels_last_after_training(tmp_path):
    model = train(tiny_digits('stage1_ce', tmp_path)).model
    kernel = model.backbone.layer1[0].conv1.weight
    assert kernel.is_contiguous(memory_format=torch.channels_last)
    assert not kernel.is_contiguous()
