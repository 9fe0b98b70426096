import copy
import pickle

import pytest
import torch
from torch import nn

from mmimbal.stage2.freezing import freeze


@pytest.mark.parametrize(
    'copied', [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_copy_of_a_frozen_module_is_frozen_by_itself(copied):
    module = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    freeze(module, update_bn=False)
    other = copied(module)
    other.train()
    assert not any(part.training for part in other.modules())
    other(torch.ones(2, 1, 3, 3))
    for key, value in module.state_dict().items():
        assert other.state_dict()[key].equal(value)
    module.training = True  # of the original alone
    other.train()
    assert module.training and not other.training
