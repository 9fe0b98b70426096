import copy

import pytest
import torch
from mmpretrain.structures import DataSample

from mmimbal.registry import MODELS
from tests.distributed import run_on_ranks

K, D = 3, 8
LABELS = torch.tensor([0, 1, 2, 0, 0])
SAMPLES = [DataSample().set_gt_label(int(label)) for label in LABELS]


def build(**options):
    cfg = dict(type='mmimbal.CausalClsHead', num_classes=K, in_channels=D, **options)
    torch.manual_seed(0)
    head = MODELS.build(cfg)
    head.init_weights()
    return head


def naive(head, x, mean, alpha):
    """The formulas of the paper, class by class and part by part."""
    logits = []
    for weights in head.fc.weight:
        total = 0
        size = D // head.parts
        for m in range(head.parts):
            part = slice(m * size, (m + 1) * size)
            w, h, d = weights[part], x[part], mean[part]
            d = d / d.norm()
            cos = h @ d / h.norm()
            total += (w @ h) / ((w.norm() + head.gamma) * h.norm())
            total -= alpha * cos * (w @ d) / (w.norm() + head.gamma)
        logits.append(head.scale * total / head.parts)
    return torch.stack(logits)


@pytest.mark.parametrize('parts', [1, 2, 4])
def test_logits_in_training_and_prediction_are_those_of_the_paper(parts):
    head = build(parts=parts, alpha=0.7)
    batches = [torch.rand(5, D) for _ in range(3)]
    mean = torch.zeros(D)
    for features in batches:
        mean = 0.9 * mean + features.mean(0)
        expected = torch.stack([naive(head, x, torch.ones(D), 0.0) for x in features])
        expected = torch.nn.functional.cross_entropy(expected, LABELS)
        torch.testing.assert_close(head.loss((features,), SAMPLES)['loss'], expected)
    torch.testing.assert_close(head.mean, mean)
    head.eval()
    found = head((batches[0],))
    expected = torch.stack([naive(head, x, mean, 0.7) for x in batches[0]])
    torch.testing.assert_close(found, expected)
    head.loss((batches[0],), SAMPLES)
    torch.testing.assert_close(head.mean, mean)  # in eval mode it stays


def test_what_all_features_share_does_not_change_the_prediction():
    """With alpha=1 the part of the features along the mean is left out."""
    head = build(parts=1, alpha=1.0).eval()
    head.mean.copy_(torch.rand(D))
    direction = head.mean / head.mean.norm()
    features = torch.randn(5, D)
    features -= (features @ direction)[:, None] * direction
    shifted = features + 3 * direction
    found = head((shifted,)) * shifted.norm(dim=1, keepdim=True)
    expected = head((features,)) * features.norm(dim=1, keepdim=True)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_before_training_and_with_empty_features_it_is_finite():
    head = build(gamma=0.0)
    head.fc.weight.data[1] = 0
    features = torch.rand(5, D)
    features[0] = 0
    features.requires_grad_()
    assert head((features,)).isfinite().all()
    head.loss((features,), SAMPLES)['loss'].backward()
    assert features.grad.isfinite().all() and head.fc.weight.grad.isfinite().all()


def test_a_checkpoint_holds_the_direction_and_is_not_taken_for_linear():
    head = build(alpha=0.7)
    head.loss((torch.rand(5, D),), SAMPLES)
    resumed = build()
    resumed.load_state_dict(copy.deepcopy(head.state_dict()))
    features = (torch.randn(4, D),)
    assert resumed.eval()(features).equal(head.eval()(features))
    lws = MODELS.build(dict(type='mmimbal.LWSClsHead', num_classes=K, in_channels=D))
    with pytest.raises(ValueError, match='with a scale'):
        lws.load_stage1(head.state_dict())


def test_it_is_float32_under_autocast():
    head = build()
    with torch.autocast('cpu', torch.bfloat16):
        loss = head.loss((torch.rand(5, D).bfloat16(),), SAMPLES)['loss']
    loss.backward()
    assert loss.dtype == torch.float32 and head.fc.weight.grad.any()


def on_rank(rank, world_size):
    head = build()
    features = torch.rand(4, D)
    half = slice(2 * rank, 2 * rank + 2) if world_size == 2 else slice(4)
    head.loss((features[half],), SAMPLES[half])
    return head.mean


def test_two_ranks_have_the_direction_of_one_process():
    alone = on_rank(0, 1)
    for mean in run_on_ranks(2, on_rank, 2):
        torch.testing.assert_close(mean, alone)


def test_bad_options_are_named():
    with pytest.raises(ValueError, match='parts=3 must be at least 1 and divide'):
        build(parts=3)
    with pytest.raises(ValueError, match=r'momentum=1 must be in \[0, 1\)'):
        build(momentum=1)
    with pytest.raises(ValueError, match='scale=0 must be positive'):
        build(scale=0)


def test_logits_have_full_precision_under_autocast():
    head = MODELS.build(
        dict(type='mmimbal.CausalClsHead', num_classes=3, in_channels=8)
    )
    head.init_weights()
    features = torch.randn(5, 8)
    expected = head((features,))
    with torch.autocast('cpu', torch.bfloat16):
        found = head((features,))
    torch.testing.assert_close(found, expected)
