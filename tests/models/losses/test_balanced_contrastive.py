import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from mmimbal.models.losses.balanced_contrastive import (
    BalancedContrastiveLoss,
    balanced_contrastive,
)

K, D = 4, 3


def naive(embeddings, labels, prototypes, temperature):
    """The formula of the paper, image by image."""
    everything = [
        (F.normalize(e, dim=0), label)
        for e, label in zip(
            [*embeddings, *prototypes], [*labels, *range(K)], strict=True
        )
    ]
    total = 0
    for i, label in enumerate(labels):
        others = [item for j, item in enumerate(everything) if j != i]
        anchor = everything[i][0]

        def similarity(other, anchor=anchor):
            return torch.exp(anchor @ other / temperature)

        denominator = 0
        for k in range(K):
            members = [similarity(e) for e, theirs in others if theirs == k]
            denominator = denominator + sum(members) / len(members)
        positives = [
            torch.log(similarity(e) / denominator)
            for e, theirs in others
            if theirs == label
        ]
        total = total - sum(positives) / len(positives)
    return total / len(labels)


@given(
    st.lists(st.integers(0, K - 1), min_size=1, max_size=10),
    st.sampled_from([0.1, 0.5, 2.0]),
    st.integers(0, 1000),
)
def test_value_and_gradient_equal_the_paper(labels, temperature, seed):
    generator = torch.Generator().manual_seed(seed)
    inputs = [
        torch.randn(n, D, generator=generator, dtype=torch.float64)
        for n in (len(labels), K)
    ]
    ours, theirs = (
        [part.clone().requires_grad_() for part in inputs] for _ in range(2)
    )
    value = balanced_contrastive(ours[0], torch.tensor(labels), ours[1], temperature)
    expected = naive(theirs[0], labels, theirs[1], temperature)
    # In float64, but for the logarithms of class counts.
    close = dict(rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(value, expected, **close)
    value.backward()
    expected.backward()
    for found, wanted in zip(ours, theirs, strict=True):
        torch.testing.assert_close(found.grad, wanted.grad, **close)


def test_prototypes_come_from_the_classifier():
    torch.manual_seed(0)
    loss = BalancedContrastiveLoss(in_channels=8, embedding_size=D)
    embeddings, labels = torch.randn(5, D), torch.tensor([0, 1, 2, 3, 0])
    class_weights = torch.randn(K, 8, requires_grad=True)
    value = loss(embeddings, labels, class_weights=class_weights)
    expected = naive(embeddings, labels.tolist(), loss.prototypes(class_weights), 0.1)
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    value.backward()
    assert class_weights.grad.abs().sum() > 0


def test_bad_options_are_named():
    with pytest.raises(ValueError, match='temperature=0 must be positive'):
        BalancedContrastiveLoss(8, D, temperature=0)
    loss = BalancedContrastiveLoss(8, D)
    with pytest.raises(ValueError, match='takes no miner'):
        loss(torch.randn(2, D), torch.tensor([0, 1]), (0,), class_weights=None)
