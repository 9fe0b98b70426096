import copy

import pytest
import torch
from mmpretrain.structures import DataSample
from torch import nn

from mmimbal.models.heads.max_norm_head import bounded
from mmimbal.registry import MODELS

K, D = 3, 4


def build(max_norm=1.0):
    head = MODELS.build(
        dict(
            type='mmimbal.MaxNormClsHead',
            num_classes=K,
            in_channels=D,
            max_norm=max_norm,
        )
    )
    head.init_weights()
    return head


def test_long_rows_are_shortened_and_others_stay():
    head = build(max_norm=2.0)
    weights = torch.tensor([[3.0, 0, 4, 0], [1, 1, 1, 0], [0, 0, 0, 0]])
    head.fc.weight.data.copy_(weights)
    features = torch.randn(5, D)
    expected = torch.stack([weights[0] * 2 / 5, weights[1], weights[2]])
    found = head((features,))
    torch.testing.assert_close(found, features @ expected.T + head.fc.bias)
    torch.testing.assert_close(head.fc.weight.data, expected)
    assert head((features,)).equal(found)


def test_bounded_weights_stay_to_the_bit():
    """One rank writes checkpoints, and so sets its weights back more often."""
    weights = torch.randn(1000, 16, generator=torch.Generator().manual_seed(0))
    once = bounded(weights, 1.0)
    assert (once.norm(dim=1) <= 1 + 1e-6).all() and not once.equal(weights)
    assert bounded(once, 1.0).equal(once)


def test_it_is_projected_gradient_descent():
    """The same steps by hand: a step, then the projection."""
    head, peer = build(0.3), nn.Linear(D, K)
    peer.load_state_dict(head.fc.state_dict())
    features, labels = torch.randn(30, D), torch.randint(0, K, (30,))
    samples = [DataSample().set_gt_label(int(label)) for label in labels]
    optimizers = [torch.optim.SGD(m.parameters(), 1.0) for m in (head, peer)]
    for _ in range(10):
        head.loss((features,), samples)['loss'].backward()
        nn.functional.cross_entropy(peer(features), labels).backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        for row in peer.weight.data:
            row *= min(1.0, 0.3 / row.norm())
    assert (peer.weight.norm(dim=1) > 0.29).any()
    torch.testing.assert_close(head.eval()((features,)), peer(features))


def test_a_second_call_before_the_backward_pass_is_allowed():
    head, features = build(0.01), torch.randn(5, D)
    first = head((features,))
    head((features,))
    first.sum().backward()
    assert head.fc.weight.grad.isfinite().all()


def test_a_bound_of_zero_is_an_error():
    with pytest.raises(ValueError, match='max_norm=0 must be positive'):
        build(0)


def test_a_state_dict_is_bounded_also_of_a_copy():
    """What goes on from it, such as LWS, has the classifier that predicts."""
    for head in (build(2.0), copy.deepcopy(build(2.0))):
        weights = torch.tensor([[3.0, 0, 4, 0], [1, 1, 1, 0], [0, 0, 0, 0]])
        head.fc.weight.data.copy_(weights)
        found = head.state_dict()['fc.weight']
        torch.testing.assert_close(found[0], weights[0] * 2 / 5)
        assert found[1:].equal(weights[1:])
