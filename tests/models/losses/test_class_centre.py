import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from mmimbal.models.losses import (
    BatchAllTripletLoss,
    ClassCentreQuadrupletLoss,
    ClassCentreRankingLoss,
    ClassCentreTripletLoss,
)

K, D, MARGIN, SECOND, MOMENTUM = 5, 3, 0.3, 0.2, 0.7
LOSSES = [ClassCentreTripletLoss, ClassCentreRankingLoss, ClassCentreQuadrupletLoss]
BATCHES = st.lists(
    st.lists(st.integers(0, K - 1), min_size=1, max_size=9), min_size=1, max_size=4
)


def build(component=ClassCentreTripletLoss, **options):
    if component is ClassCentreQuadrupletLoss:
        options['second_margin'] = SECOND
    return component(K, D, MARGIN, MOMENTUM, **options)


def moving_averages(batches):
    """Follow the centres image by image."""
    centres = {}
    for embeddings, labels in batches:
        for k in set(labels):
            own = [
                F.normalize(e, dim=0)
                for e, label in zip(embeddings, labels, strict=True)
                if label == k
            ]
            mean = sum(own) / len(own)
            old = centres.get(k)
            centres[k] = mean if old is None else MOMENTUM * old + (1 - MOMENTUM) * mean
    return centres


def distance(a, b):
    return (F.normalize(a, dim=0) - F.normalize(b, dim=0)).norm()


def naive(component, embeddings, labels, centres):
    """Average each kind of term over what is above 0 in a class, then over classes."""
    kinds = {ClassCentreTripletLoss: 1}.get(component, 2)
    terms = [{k: [] for k in labels} for _ in range(kinds)]
    for x, label in zip(embeddings, labels, strict=True):
        if label not in centres:
            continue
        own = distance(x, centres[label])
        others = [centre for k, centre in centres.items() if k != label]
        if component is ClassCentreRankingLoss:
            terms[0][label].append(own)
            terms[1][label] += [MARGIN - distance(x, c) for c in others]
            continue
        terms[0][label] += [own - distance(x, c) + MARGIN for c in others]
        if component is ClassCentreQuadrupletLoss:
            terms[1][label] += [
                own - distance(a, b) + SECOND
                for a, b in itertools.combinations(others, 2)
            ]
    total = 0 * embeddings.sum()
    for of_class in terms:
        means = []
        for values in of_class.values():
            above = [value for value in values if value > 0]
            if values:
                means.append(sum(above, total * 0) / max(len(above), 1))
        total = total + sum(means, 0 * total) / max(len(means), 1)
    return total


@given(BATCHES, st.sampled_from(LOSSES), st.integers(0, 1000))
def test_value_gradient_and_centres_equal_a_loop(batches, component, seed):
    """In float64: a term at the threshold counts or not, by its rounding."""
    generator = torch.Generator().manual_seed(seed)
    batches = [
        (torch.randn(len(k), D, generator=generator, dtype=torch.float64), k)
        for k in batches
    ]
    loss = build(component).double()
    for embeddings, labels in batches:
        ours = embeddings.clone().requires_grad_()
        value = loss(ours, torch.tensor(labels))
    before, centres = moving_averages(batches[:-1]), moving_averages(batches)
    assert loss.has_centre.nonzero().flatten().tolist() == sorted(centres)
    for k, centre in centres.items():
        torch.testing.assert_close(loss.centres[k], centre, atol=1e-9, rtol=0)
    theirs = embeddings.clone().requires_grad_()
    expected = naive(component, theirs, labels, before)
    torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-9)
    value.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize('component', LOSSES)
def test_centres_learn_nothing_in_eval_mode_and_have_no_gradient(component):
    loss = build(component)
    loss(torch.randn(6, D), torch.tensor([0, 1, 2, 0, 1, 3]))
    before = {key: value.clone() for key, value in loss.state_dict().items()}
    loss.eval()
    loss(torch.randn(6, D, requires_grad=True), torch.tensor([0, 1, 2, 0, 4, 3]))
    assert all(value.equal(before[key]) for key, value in loss.state_dict().items())
    assert not list(loss.parameters())


def test_first_phase_is_class_balanced_and_already_moves_the_centres():
    torch.manual_seed(0)
    embeddings, labels = torch.randn(8, D), torch.tensor([0, 0, 0, 0, 0, 1, 1, 2])
    loss, without = build(balanced_epochs=2), build()
    loss.set_max_epochs(3)
    loss.set_epoch(1)
    expected = BatchAllTripletLoss(MARGIN, reduction='class_balanced')
    assert loss(embeddings, labels).equal(expected(embeddings, labels))
    without(embeddings, labels)
    assert loss.centres.equal(without.centres)
    loss.set_epoch(2)
    second = loss(embeddings, labels)
    assert second > 0 and second.equal(without(embeddings, labels))


def test_a_first_phase_without_epochs_is_an_error():
    with pytest.raises(RuntimeError, match='SetEpochHook'):
        build(balanced_epochs=2)(torch.randn(2, D), torch.tensor([0, 1]))


@pytest.mark.parametrize('component', LOSSES)
def test_a_single_class_is_no_nan(component):
    embeddings = torch.randn(3, D, requires_grad=True)
    loss = build(component)
    labels = torch.zeros(3, dtype=torch.long)
    loss(embeddings, labels)
    loss = loss(embeddings, labels)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(embeddings.grad).all()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(margin=-1), 'margin=-1 must not be negative'),
        (dict(momentum=1.0), r'momentum=1.0 must be in \[0, 1\)'),
        (dict(balanced_epochs=-1), 'balanced_epochs=-1 must be a number of'),
        (dict(distance=dict(type='mmimbal.CosineSimilarity')), 'is a similarity'),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        ClassCentreTripletLoss(K, D, **options)


def test_bad_second_margin_and_miner_are_named():
    with pytest.raises(ValueError, match='second_margin=-1'):
        ClassCentreQuadrupletLoss(K, D, second_margin=-1)
    with pytest.raises(ValueError, match='ClassCentreTripletLoss takes no miner'):
        build()(torch.randn(2, D), torch.tensor([0, 1]), (0, 0, 0))


def test_centres_of_another_size_are_not_taken_for_known():
    """mmengine loads what fits, and skips the rest."""
    trained = build()
    trained(torch.randn(5, D), torch.arange(5))
    larger = ClassCentreTripletLoss(K, D + 1)
    state = {
        key: value
        for key, value in trained.state_dict().items()
        if value.shape == larger.state_dict()[key].shape
    }
    larger.load_state_dict(state, strict=False)
    assert not larger.has_centre.any()


def test_the_first_phase_reports_its_active_triplets():
    loss = ClassCentreTripletLoss(num_classes=2, embedding_size=4, balanced_epochs=1)
    loss.set_max_epochs(2)
    loss.set_epoch(0)
    embeddings, labels = torch.randn(8, 4), torch.arange(8) % 2
    same = BatchAllTripletLoss(0.2, reduction='class_balanced')
    assert loss(embeddings, labels) == same(embeddings, labels)
    assert loss.active_share == same.active_share
