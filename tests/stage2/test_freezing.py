import copy
import pickle
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmimbal.stage2.freezing import check_head_learns, freeze


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


def test_a_gradient_that_was_there_moves_nothing():
    net = nn.Linear(2, 2)
    net(torch.ones(1, 2)).sum().backward()
    freeze(net, False)
    assert all(parameter.grad is None for parameter in net.parameters())


def test_a_head_without_weights_is_refused():
    model = SimpleNamespace(backbone=nn.Linear(2, 2))
    with pytest.raises(ValueError, match='Identity has no weights that stage 2 could'):
        check_head_learns(model, nn.Identity())
    frozen = nn.Linear(2, 2).requires_grad_(False)
    with pytest.raises(ValueError, match='inside Linear, remove num_classes'):
        check_head_learns(model, frozen)
    frozen.fit = None
    check_head_learns(model, frozen)
    check_head_learns(model, nn.Linear(2, 2))
