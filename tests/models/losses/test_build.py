"""What is no metric loss for a head is said when the head is built."""

import pytest
import torch
from mmpretrain.structures import DataSample
from torch import nn

from mmimbal.models.heads import MetricLearningClsHead
from mmimbal.models.losses import ClassCountsLoss
from mmimbal.registry import MODELS

TRIPLET = dict(type='mmimbal.TripletMarginLoss')


def head(metric_loss, kind='MetricLearningClsHead', **options) -> nn.Module:
    sizes = dict(num_classes=3, in_channels=8)
    cfg = dict(type=f'mmimbal.{kind}', metric_loss=metric_loss, **sizes, **options)
    return MODELS.build(cfg)


@MODELS.register_module()
class OfTwoArguments(nn.Module):
    def forward(self, embeddings, labels):
        return embeddings.sum()


@pytest.mark.parametrize(
    ('metric_loss', 'message'),
    [
        (dict(type='CrossEntropyLoss'), 'CrossEntropyLoss is a loss of logits'),
        (dict(type='FocalLoss'), 'FocalLoss is a loss of logits'),
        (dict(type='mmimbal.LogitAdjustmentLoss'), 'is a loss of logits, not of embed'),
        (dict(type='mmimbal.TripletMarginMiner'), 'is a miner: give it as miner'),
        (dict(temperature=0.1), 'must be a dict with a type'),
        ('mmimbal.SupConLoss', 'must be a dict with a type'),
        (
            dict(type='mmimbal.BalancedContrastiveLoss'),
            r'needs class_weights: use mmimbal\.BalancedContrastiveClsHead',
        ),
        (
            dict(type='mmimbal.ParametricContrastiveLoss'),
            r'needs class_logits: use mmimbal\.ParametricContrastiveClsHead',
        ),
        (
            dict(type='mmimbal.OfTwoArguments'),
            r'must take \(embeddings, labels, indices_tuple=None\)',
        ),
    ],
)
def test_other_components_are_refused(metric_loss, message):
    with pytest.raises(ValueError, match=message):
        head(metric_loss)


@pytest.mark.parametrize(
    ('kind', 'loss', 'argument'),
    [
        ('BalancedContrastiveClsHead', 'SupConLoss', 'class_weights'),
        ('ParametricContrastiveClsHead', 'TripletMarginLoss', 'class_logits'),
        ('ImageViewsClsHead', 'SupConLoss', 'images'),
    ],
)
def test_a_loss_that_does_not_take_what_the_head_gives(kind, loss, argument):
    with pytest.raises(ValueError, match=f'gives {argument} to its metric loss, but'):
        head(dict(type=f'mmimbal.{loss}'), kind)


def test_a_loss_is_no_miner():
    with pytest.raises(ValueError, match='SupConLoss is not a miner'):
        head(TRIPLET, miner=dict(type='mmimbal.SupConLoss'))


def test_several_losses_have_a_list_of_weights():
    names = ('TripletMarginLoss', 'SupConLoss')
    losses = [dict(type=f'mmimbal.{name}') for name in names]
    both = MODELS.build(
        dict(type='mmimbal.MultipleLosses', losses=losses, weights=[1, 0.5])
    )
    embeddings, labels = torch.randn(8, 4), torch.arange(8) % 2
    one, other = (MODELS.build(cfg)(embeddings, labels) for cfg in losses)
    torch.testing.assert_close(both(embeddings, labels), one + 0.5 * other)


@MODELS.register_module()
class OfAges(nn.Module):
    def forward(self, embeddings, labels, indices_tuple=None, *, ages):
        return (embeddings.sum(1) * ages).sum()


@MODELS.register_module()
class AgesHead(MetricLearningClsHead):
    """A head of somebody's own, which says nothing of what it gives."""

    def loss_arguments(self, features, samples):
        return dict(ages=torch.ones(len(features)))


@MODELS.register_module()
class CountsOfAClass(ClassCountsLoss):
    def forward(self, embeddings, labels, indices_tuple=None):
        return embeddings.sum()


def test_heads_and_losses_of_others_are_taken():
    built = head(dict(type='mmimbal.OfAges'), 'AgesHead')
    samples = [DataSample().set_gt_label(n) for n in range(3)]
    assert 'loss_metric' in built.loss((torch.randn(3, 8),), samples)
    head(dict(type='mmimbal.CountsOfAClass'))
    with pytest.raises(ValueError, match='OfAges needs ages: use a head that gives it'):
        head(dict(type='mmimbal.OfAges'))


def test_a_part_of_a_loss_is_no_miner():
    with pytest.raises(ValueError, match='LpDistance is not a miner'):
        head(TRIPLET, miner=dict(type='mmimbal.LpDistance'))


def test_a_loss_of_corners_is_no_metric_loss():
    with pytest.raises(ValueError, match='DotRegressionLoss is a loss of logits'):
        head(dict(type='mmimbal.DotRegressionLoss', scale=16.0))
