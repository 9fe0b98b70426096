import inspect

import pytest
import torch
from mmpretrain.structures import DataSample
from pytorch_metric_learning import losses, miners

from mmimbal.models.losses.pml import NOT_STANDALONE, TAKES_NO_MINER
from mmimbal.registry import MODELS

# Losses that need an argument of their own.
ARGUMENTS = {
    'CrossBatchMemory': dict(memory_size=64, loss=dict(type='mmimbal.ContrastiveLoss')),
    'MultipleLosses': dict(
        losses=[dict(type='mmimbal.ContrastiveLoss'), dict(type='mmimbal.NCALoss')]
    ),
    'P2SGradLoss': dict(descriptors_dim=8),
    'RankedListLoss': dict(margin=0.4, Tn=10),
}
WITH_WEIGHTS = {
    'ArcFaceLoss',
    'CosFaceLoss',
    'LargeMarginSoftmaxLoss',
    'NormalizedSoftmaxLoss',
    'P2SGradLoss',
    'ProxyAnchorLoss',
    'ProxyNCALoss',
    'SoftTripleLoss',
    'SphereFaceLoss',
    'SubCenterArcFaceLoss',
}


def names(module):
    return [
        name
        for name, _ in inspect.getmembers(module, inspect.isclass)
        if name not in NOT_STANDALONE
    ]


def build_head(loss: dict, **options):
    return MODELS.build(
        dict(
            type='mmimbal.MetricLearningClsHead',
            num_classes=4,
            in_channels=8,
            metric_loss=loss,
            **options,
        )
    )


def batch(size=16):
    torch.manual_seed(0)
    features = torch.randn(size, 8, requires_grad=True)
    samples = [DataSample().set_gt_label(number % 4) for number in range(size)]
    return features, samples


@pytest.mark.parametrize('name', names(losses))
def test_each_loss_trains_from_a_config(name):
    head = build_head(dict(type=f'mmimbal.{name}', **ARGUMENTS.get(name, {})))
    head.init_weights()
    features, samples = batch()
    before = {key: p.detach().clone() for key, p in head.named_parameters()}
    optimizer = torch.optim.SGD([features, *head.parameters()], 0.1)
    result = head.loss((features,), samples)
    result['loss_metric'].backward(retain_graph=True)
    assert features.grad.abs().sum() > 0
    result['loss_cls'].backward()
    optimizer.step()
    trained = {key for key, p in head.named_parameters() if not p.equal(before[key])}
    own = {key for key in before if key.startswith('metric_loss')}
    assert bool(own) == (name in WITH_WEIGHTS)
    assert trained == {'fc.weight', 'fc.bias', *own}


# NaN there for four images of a class in one place, and for features that are all zero.
NEVER_EQUAL = {'SignalToNoiseRatioContrastiveLoss'}


@pytest.mark.parametrize('name', sorted({*names(losses)} - NEVER_EQUAL))
def test_each_loss_is_finite_for_an_image_that_is_twice_in_a_batch(name):
    """As it is where PKBatchSampler draws K of a class that has fewer."""
    head = build_head(dict(type=f'mmimbal.{name}', **ARGUMENTS.get(name, {})))
    head.init_weights()
    samples = batch()[1]
    for seed in range(20):
        torch.manual_seed(seed)
        features = torch.randn(16, 8)
        features[4:8] = features[:4]
        features.requires_grad_()
        value = head.loss((features,), samples)['loss_metric']
        value.backward()
        assert value.isfinite() and features.grad.isfinite().all()


def test_a_batch_without_a_pair_is_no_loss_of_nca():
    head = build_head(dict(type='mmimbal.NCALoss'))
    features, samples = batch(4)
    value = head.loss((features,), samples)['loss_metric']
    value.backward()
    assert value == 0 and (features.grad == 0).all()


@pytest.mark.parametrize('name', names(miners))
def test_each_miner_works_from_a_config(name):
    head = build_head(
        dict(type='mmimbal.TripletMarginLoss', margin=0.5),
        miner=dict(type=f'mmimbal.{name}'),
    )
    features, samples = batch()
    assert torch.isfinite(head.loss((features,), samples)['loss_metric'])


def test_nested_components_equal_those_of_pml():
    from pytorch_metric_learning import distances, reducers, regularizers

    ours = MODELS.build(
        dict(
            type='mmimbal.TripletMarginLoss',
            margin=0.3,
            distance=dict(type='mmimbal.CosineSimilarity'),
            reducer=dict(type='mmimbal.ClassWeightedReducer', weights=[1, 2, 3, 4.0]),
            embedding_regularizer=dict(type='mmimbal.LpRegularizer', p=2),
        )
    )
    theirs = losses.TripletMarginLoss(
        margin=0.3,
        distance=distances.CosineSimilarity(),
        reducer=reducers.ClassWeightedReducer(torch.tensor([1, 2, 3, 4.0])),
        embedding_regularizer=regularizers.LpRegularizer(p=2),
    )
    embeddings, labels = torch.randn(16, 8), torch.arange(16) % 4
    assert ours(embeddings, labels).equal(theirs(embeddings, labels))


def test_a_miner_of_the_config_is_used():
    cfg = dict(type='mmimbal.TripletMarginLoss', margin=0.2)
    miner = miners.TripletMarginMiner(margin=0.2, type_of_triplets='hard')
    features, samples = batch()
    labels = torch.arange(16) % 4
    expected = losses.TripletMarginLoss(margin=0.2)(
        features, labels, miner(features, labels)
    )
    head = build_head(
        cfg,
        miner=dict(
            type='mmimbal.TripletMarginMiner', margin=0.2, type_of_triplets='hard'
        ),
    )
    loss = head.loss((features,), samples)['loss_metric']
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert loss.item() != pytest.approx(
        build_head(cfg).loss((features,), samples)['loss_metric'].item()
    )


@pytest.mark.parametrize('name', sorted(NOT_STANDALONE))
def test_what_cannot_stand_alone_is_not_registered(name):
    with pytest.raises(KeyError):
        MODELS.get(f'mmimbal.{name}')


@pytest.mark.parametrize('name', names(losses))
def test_a_miner_is_used_or_refused_when_the_head_is_built(name):
    head = dict(
        loss=dict(type=f'mmimbal.{name}', **ARGUMENTS.get(name, {})),
        miner=dict(type='mmimbal.MultiSimilarityMiner'),
    )
    if name in TAKES_NO_MINER:
        with pytest.raises(ValueError, match=f'{name} takes no miner: remove the'):
            build_head(**head)
        return
    features, samples = batch()
    head = build_head(**head)
    assert torch.isfinite(head.loss((features,), samples)['loss_metric'])


def test_a_negative_margin_is_an_error():
    with pytest.raises(ValueError, match=r'margin=-0\.1 of TripletMarginLoss'):
        MODELS.build(dict(type='mmimbal.TripletMarginLoss', margin=-0.1))


@pytest.mark.parametrize('value', [0, -0.1, float('nan')])
@pytest.mark.parametrize('loss', ['SupConLoss', 'NTXentLoss'])
def test_a_temperature_that_is_not_positive_is_refused(loss, value):
    with pytest.raises(ValueError, match=f'of {loss} must be positive'):
        MODELS.build(dict(type=f'mmimbal.{loss}', temperature=value))
