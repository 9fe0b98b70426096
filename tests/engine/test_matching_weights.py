"""Weights that do not fit the net at all are refused."""

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmpretrain.models import AverageClsScoreTTA
from torch import nn

from mmimbal.engine.matching_weights import check_weights, checked_weights
from tests.conftest import tiny_digits, train


class ToyModel(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return self.layer(inputs)


def net():
    head = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 3))
    return nn.ModuleDict(dict(backbone=nn.Linear(4, 2), head=head))


def renamed(weights, rename):
    return {rename(name): value for name, value in weights.items()}


@pytest.mark.parametrize('name', ['backbone.weight', 'head.0.bias'])
def test_one_weight_that_fits_is_enough(name):
    check_weights(net(), {name: net().state_dict()[name], 'other': torch.zeros(3)})


@pytest.mark.parametrize(
    'weights',
    [
        {},
        {'backbone.weight': torch.zeros(4, 2)},  # another shape
        {'head.0.num_batches_tracked': torch.zeros(())},
        {'model': {'backbone.weight': torch.zeros(2, 4)}, 'epoch': 3},
    ],
)
def test_weights_of_another_net(weights):
    with pytest.raises(ValueError, match='none of the weights') as caught:
        check_weights(net(), weights)
    message = str(caught.value)
    assert (
        f'The checkpoint has {", ".join(weights)}; the net has backbone.we' in message
    )
    assert 'fit its' not in message and 'prefix' not in message


def test_weights_of_a_part():
    weights = net()['head'].state_dict()
    with pytest.raises(ValueError, match=r'fit its head: set model\.head\.init_cfg'):
        check_weights(net(), weights)


def test_weights_of_a_whole_net_for_a_part():
    with pytest.raises(ValueError, match=r"Its head fits: set prefix='head\.'"):
        check_weights(net()['head'], net().state_dict())


@pytest.mark.parametrize('stage', ['load_from', 'init_cfg'])
def test_a_run_does_not_start_from_random_weights(stage, tmp_path):
    load = mmengine_checkpoint.load_state_dict
    cfg = tiny_digits('stage1_ce', tmp_path / 'run')
    file = tmp_path / 'weights.pth'
    first = train(tiny_digits('stage1_ce', tmp_path / 'first')).model
    weights = first.state_dict()
    if stage == 'load_from':
        cfg.load_from = str(file)
    else:
        cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(file))
        weights = first.backbone.state_dict()
    torch.save(renamed(weights, 'x.{}'.format), file)
    with pytest.raises(ValueError, match='none of the weights of the checkpoint fits'):
        train(cfg)
    assert mmengine_checkpoint.load_state_dict is load
    torch.save(weights, file)
    train(cfg)
    assert mmengine_checkpoint.load_state_dict is load


@pytest.mark.parametrize('fits', [True, False])
def test_a_model_for_several_views_is_that_inside(fits):
    """MMPretrain's tools/test.py --tta loads into the model that it has wrapped."""
    inner = ToyModel()
    model = AverageClsScoreTTA(module=inner)
    weights = {name: value + 1 for name, value in inner.state_dict().items()}
    weights = weights if fits else renamed(weights, 'other.{}'.format)
    with checked_weights():
        if fits:
            mmengine_checkpoint.load_state_dict(model, weights)
            assert inner.layer.weight.equal(weights['layer.weight'])
        else:
            with pytest.raises(ValueError, match='none of the weights'):
                mmengine_checkpoint.load_state_dict(model, weights)
