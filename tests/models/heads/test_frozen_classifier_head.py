import logging

import pytest
import torch
from mmengine.runner.checkpoint import load_state_dict
from mmpretrain.structures import DataSample
from torch.nn import functional as F

from mmimbal.registry import MODELS

K, D = 4, 6
RANDOM = torch.Generator().manual_seed(0)
STATE = {
    'fc.weight': torch.randn(K, D, generator=RANDOM),
    'fc.bias': torch.randn(K, generator=RANDOM),
}
FEATURES = torch.randn(9, D, generator=RANDOM)
PLAIN = FEATURES @ STATE['fc.weight'].T + STATE['fc.bias']
FITTED = ('TauNormClsHead', 'LogitAdjustedClsHead')
NAMES = ['LWSClsHead', 'DisAlignClsHead', 'TauNormClsHead', 'LogitAdjustedClsHead']


def build(name, state=STATE, **options):
    head = MODELS.build(
        dict(type=f'mmimbal.{name}', num_classes=K, in_channels=D, **options)
    )
    head.init_weights()
    head.load_stage1(state)
    return head


@pytest.mark.parametrize('name', ['LWSClsHead', 'DisAlignClsHead'])
def test_it_begins_where_stage_1_ended(name):
    torch.testing.assert_close(build(name)((FEATURES,)), PLAIN)


def test_lws_scales_each_class():
    head = build('LWSClsHead')
    head.scale.data = torch.tensor([1.0, 2.0, 0.5, 3.0])
    torch.testing.assert_close(head((FEATURES,)), PLAIN * head.scale)
    assert [key for key, p in head.named_parameters() if p.requires_grad] == ['scale']


def test_disalign_is_its_formula():
    head = build('DisAlignClsHead')
    head.scale.data, head.shift.data = torch.rand(K), torch.randn(K)
    expected = []
    for features, logits in zip(FEATURES, PLAIN, strict=True):
        linear = (head.confidence.weight[0] * features).sum() + head.confidence.bias[0]
        c = 1 / (1 + torch.exp(-linear))
        expected.append(c * (head.scale * logits + head.shift) + (1 - c) * logits)
    torch.testing.assert_close(head((FEATURES,)), torch.stack(expected))
    learning = {key for key, p in head.named_parameters() if p.requires_grad}
    assert learning == {'scale', 'shift', 'confidence.weight', 'confidence.bias'}


@pytest.mark.parametrize(
    'state',
    [{}, {'fc.weight': torch.zeros(K + 1, D)}],
    ids=['none', 'of other classes'],
)
def test_what_has_no_classifier_for_it_is_not_taken_for_one(state):
    """mmengine loads what fits, and only warns of the rest."""
    head = MODELS.build(dict(type='mmimbal.LWSClsHead', num_classes=K, in_channels=D))
    load_state_dict(head, state, logger=logging.getLogger())
    with pytest.raises(RuntimeError, match='needs the classifier of stage 1'):
        head.loss((FEATURES,), [])
    load_state_dict(head, build('LWSClsHead').state_dict(), logger=logging.getLogger())
    assert head.is_loaded


@pytest.mark.parametrize('name', NAMES)
def test_a_scaled_classifier_is_not_taken_for_a_linear_one(name):
    cosine = MODELS.build(
        dict(type='mmimbal.CosineClsHead', num_classes=K, in_channels=D)
    )
    with pytest.raises(ValueError, match='a scale, as CosineClsHead has it'):
        build(name, cosine.state_dict())
    with pytest.raises(ValueError, match='with a tau'):
        build(name, build('TauNormClsHead').state_dict())


@pytest.mark.parametrize('name', ['TauNormClsHead', 'LogitAdjustedClsHead'])
def test_it_is_not_taken_for_a_linear_head(name):
    state = build(name, tau=0.3).state_dict()
    linear = MODELS.build(dict(type='LinearClsHead', num_classes=K, in_channels=D))
    with pytest.raises(RuntimeError, match=r'Unexpected key.*tau'):
        linear.load_state_dict(state)
    other = build(name, tau=1.5)
    other.load_state_dict(state)
    assert other.tau == torch.tensor(0.3)


@pytest.mark.parametrize('name', [n for n in NAMES if n not in FITTED])
def test_it_is_not_trained_without_stage_1(name):
    cfg = dict(type=f'mmimbal.{name}', num_classes=K, in_channels=D)
    samples = [DataSample().set_gt_label(n % K) for n in range(len(FEATURES))]
    head = MODELS.build(cfg)
    with pytest.raises(RuntimeError, match=f'{name} needs .* use it in a stage 2'):
        head.loss((FEATURES,), samples)
    head.load_state_dict(build(name).state_dict())  # as a resumed run does
    assert head.loss((FEATURES,), samples)['loss'].isfinite()


@pytest.mark.parametrize('tau', [0.0, 0.5, 1.0])
def test_tau_norm_is_its_formula(tau):
    weights = STATE['fc.weight']
    rows = [w / sum(x**2 for x in w) ** (tau / 2) for w in weights]
    found = build('TauNormClsHead', tau=tau)((FEATURES,))
    torch.testing.assert_close(found, FEATURES @ torch.stack(rows).T)


def test_logit_adjustment_subtracts_the_prior():
    """After training it is less, so that the rare class gains."""
    head = build('LogitAdjustedClsHead', tau=1.5)
    labels = torch.tensor([0] * 70 + [1] * 20 + [2] * 9 + [3])
    head.fit(torch.zeros(100, D), labels)
    prior = torch.tensor([0.7, 0.2, 0.09, 0.01])
    torch.testing.assert_close(head((FEATURES,)), PLAIN - 1.5 * prior.log())
    gain = (head((FEATURES,)) - PLAIN)[0]
    assert gain.diff().min() > 0
    saved = build('LogitAdjustedClsHead', tau=1.5)
    saved.load_state_dict(head.state_dict())
    assert saved((FEATURES,)).equal(head((FEATURES,)))


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize(
    ('state', 'found'), [({}, 'none'), ({'fc.weight': torch.ones(3, D)}, r'\(3, 6\)')]
)
def test_a_stage_1_without_such_a_classifier_is_an_error(name, state, found):
    with pytest.raises(ValueError, match=f'{name} needs a .* stage 1 has .*{found}'):
        build(name, state)


def test_a_stage_1_without_bias_will_do():
    state = {'fc.weight': STATE['fc.weight']}
    expected = F.linear(FEATURES, STATE['fc.weight'])
    torch.testing.assert_close(build('LWSClsHead', state)((FEATURES,)), expected)


@pytest.mark.parametrize('name', FITTED)
def test_a_fitted_head_is_not_trained_in_steps(name):
    samples = [DataSample().set_gt_label(n % K) for n in range(len(FEATURES))]
    with pytest.raises(RuntimeError, match=f'{name} is not trained, but computed'):
        build(name).loss((FEATURES,), samples)


def test_a_class_without_images_has_a_finite_prior():
    head = MODELS.build(
        dict(type='mmimbal.LogitAdjustedClsHead', num_classes=3, in_channels=2)
    )
    head.fit(torch.zeros(4, 2), torch.tensor([0, 0, 1, 1]))
    assert head.log_prior.isfinite().all()


@pytest.mark.parametrize('hidden', [None, 4])
def test_it_begins_with_the_classifier_of_a_vision_transformer(hidden):
    """Which is linear if there is no hidden layer."""
    sizes = dict(num_classes=3, in_channels=6)
    stage1 = MODELS.build(
        dict(type='mmpretrain.VisionTransformerClsHead', hidden_dim=hidden, **sizes)
    )
    torch.nn.init.normal_(stage1.layers.head.weight)
    torch.nn.init.normal_(stage1.layers.head.bias)
    head = MODELS.build(dict(type='mmimbal.LWSClsHead', **sizes))
    if hidden:
        with pytest.raises(ValueError, match=r'needs a classifier fc\.weight'):
            head.load_stage1(stage1.state_dict())
        return
    head.load_stage1(stage1.state_dict())
    features = torch.randn(5, 6)
    torch.testing.assert_close(head((features,)), stage1.layers(features))


def test_half_of_the_classifier_of_a_distilled_transformer_is_not_taken():
    stage1 = MODELS.build(
        dict(type='mmpretrain.DeiTClsHead', num_classes=3, in_channels=6)
    )
    head = MODELS.build(dict(type='mmimbal.LWSClsHead', num_classes=3, in_channels=6))
    with pytest.raises(ValueError, match='needs a classifier'):
        head.load_stage1(stage1.state_dict())
