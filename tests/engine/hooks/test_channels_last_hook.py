import pytest
import torch

from tests.conftest import tiny_digits, train


@pytest.mark.parametrize('channels', [4, 8])
def test_convolutions_are_channels_last_unless_they_are_too_small(tmp_path, channels):
    cfg = tiny_digits('stage1_ce', tmp_path)
    cfg.model.backbone.update(stem_channels=channels, base_channels=channels)
    cfg.model.head.in_channels = 8 * channels
    kernel = train(cfg).model.backbone.layer1[0].conv1.weight
    is_channels_last = kernel.is_contiguous(memory_format=torch.channels_last)
    assert is_channels_last == (channels >= 8)
