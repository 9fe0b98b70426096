import pytest
import torch
from mmpretrain.structures import DataSample

from mmimbal.models.losses.balanced_contrastive import balanced_contrastive
from mmimbal.registry import MODELS

LABELS = torch.arange(8) % 3


def build(**options):
    return MODELS.build(
        dict(
            type='mmimbal.BalancedContrastiveClsHead',
            num_classes=3,
            in_channels=6,
            embedding_size=4,
            metric_loss=dict(type='mmimbal.BalancedContrastiveLoss', temperature=0.2),
            **options,
        )
    )


def losses_of(head):
    torch.manual_seed(0)
    features = torch.randn(8, 6)
    samples = [DataSample().set_gt_label(int(label)) for label in LABELS]
    return features, head.loss((features,), samples)


def test_prototypes_are_made_of_the_classifier():
    head = build(metric_weight=0.35)
    features, losses = losses_of(head)
    expected = 0.35 * balanced_contrastive(
        head.projection(features),
        LABELS,
        head.metric_loss.prototypes(head.fc.weight),
        0.2,
    )
    assert losses['loss_metric'].item() == pytest.approx(expected.item(), rel=1e-6)
    losses['loss_metric'].backward()
    for parameter in (head.fc.weight, *head.metric_loss.parameters()):
        assert parameter.grad.abs().sum() > 0


def test_weight_zero_leaves_nothing_for_ddp_to_wait_for():
    head = build(metric_weight=0.0)
    assert set(losses_of(head)[1]) == {'loss_cls'}
    learning = {key for key, p in head.named_parameters() if p.requires_grad}
    assert learning == {'fc.weight', 'fc.bias'}


def test_miner_is_an_error():
    with pytest.raises(ValueError, match='BalancedContrastiveLoss takes no miner'):
        losses_of(build(miner=dict(type='mmimbal.MultiSimilarityMiner')))
