import numpy as np
import pytest
import torch
from scipy.stats import vonmises_fisher
from torch.nn import functional as F

from mmimbal.models.losses.probabilistic_contrastive import (
    ProCoLoss,
    estimate,
    expected_contrastive,
)

K, D = 3, 5
COUNTS = np.array([70, 20, 10])
LABELS = torch.tensor([0, 0, 0, 0, 1, 1, 2, 2])


def build(epoch=0, **options):
    loss = ProCoLoss(K, D, **options)
    loss.set_class_counts(COUNTS)
    loss.set_epoch(epoch)
    return loss


def test_it_is_the_mean_over_images_of_the_distributions():
    """Drawn with SciPy: a contrastive loss of 200000 images of each class."""
    random = np.random.default_rng(0)
    means = F.normalize(torch.randn(K, D, dtype=torch.float64))
    concentrations = torch.tensor([0.5, 8.0, 60.0], dtype=torch.float64)
    z = F.normalize(torch.randn(6, D, dtype=torch.float64))
    labels = torch.arange(6) % K
    prior = torch.tensor(COUNTS / COUNTS.sum())
    parts = []
    for mean, concentration, share in zip(means, concentrations, prior, strict=True):
        vmf = vonmises_fisher(mean.numpy(), concentration.item(), seed=random)
        drawn = torch.from_numpy(vmf.rvs(200_000))
        parts.append(share * torch.exp(z @ drawn.T / 0.7).mean(1))
    parts = torch.stack(parts, 1)
    expected = -torch.log(parts[torch.arange(6), labels] / parts.sum(1))
    found = expected_contrastive(z, labels, means, concentrations, prior.log(), 0.7)
    torch.testing.assert_close(found, expected, atol=5e-3, rtol=5e-3)


def test_a_large_concentration_is_a_softmax_over_means_with_the_prior():
    means = F.normalize(torch.randn(K, D, dtype=torch.float64))
    z = F.normalize(torch.randn(4, D, dtype=torch.float64))
    prior = torch.tensor(COUNTS / COUNTS.sum()).log()
    labels = torch.tensor([0, 1, 2, 0])
    large = torch.full((K,), 1e7, dtype=torch.float64)
    found = expected_contrastive(z, labels, means, large, prior, 0.1)
    expected = F.cross_entropy(z @ means.T / 0.1 + prior, labels, reduction='none')
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_estimates_are_those_of_the_formula_and_near_the_truth():
    vmf = vonmises_fisher(np.eye(D)[0], 20.0, seed=np.random.default_rng(0))
    drawn = torch.from_numpy(vmf.rvs(4000))
    means, concentrations = estimate(drawn.sum(0)[None], torch.tensor([4000]), 1e5)
    length = drawn.mean(0).norm()
    formula = length * (D - length**2) / (1 - length**2)
    torch.testing.assert_close(concentrations[0], formula)
    assert concentrations.item() == pytest.approx(20, rel=0.1)
    assert means[0, 0] > 0.999


def test_one_image_is_bounded_and_none_is_uniform():
    sums = torch.stack([F.normalize(torch.randn(D), dim=0), torch.zeros(D)])
    means, concentrations = estimate(sums, torch.tensor([1, 0]), 500.0)
    assert concentrations.tolist() == [500, 0] and means[1].tolist() == [0] * D


def test_the_last_epoch_is_used_and_then_forgotten():
    loss = build()
    first, second = torch.randn(8, D), torch.randn(8, D)
    loss(first, LABELS)
    own = loss.estimates()[0]
    torch.testing.assert_close(
        own[1], F.normalize(F.normalize(first)[LABELS == 1].sum(0), dim=0)
    )
    loss.set_epoch(1)
    loss.set_epoch(1)  # nothing happens
    loss(second, torch.where(LABELS == 2, 1, LABELS))
    assert loss.estimates()[0].equal(own)
    loss.set_epoch(2)
    after = loss.estimates()[0]
    assert after[2].equal(own[2]) and not after[:2].allclose(own[:2])  # 2 was not seen
    expected = F.normalize(F.normalize(second)[LABELS == 0].sum(0), dim=0)
    torch.testing.assert_close(after[0], expected)


def test_a_resumed_run_goes_on_to_the_bit():
    loss = build()
    loss(torch.randn(8, D), LABELS)
    loss.set_epoch(1)
    loss(torch.randn(8, D), LABELS)
    resumed = ProCoLoss(K, D)
    resumed.load_state_dict(loss.state_dict())
    resumed.set_class_counts(COUNTS)
    batch = torch.randn(8, D)
    for one in (loss, resumed):
        one.set_epoch(2)
    assert resumed(batch, LABELS).equal(loss(batch, LABELS))


def test_estimates_have_no_gradient_but_embeddings_have():
    loss = build()
    points = torch.randn(8, D, dtype=torch.float64, requires_grad=True)
    loss(points, LABELS).backward()
    assert points.grad.abs().sum() > 0 and not loss.sums.requires_grad
    loss.eval()
    assert torch.autograd.gradcheck(lambda points: loss(points, LABELS), (points,))


def test_what_is_missing_is_said():
    with pytest.raises(RuntimeError, match='ClassCountsHook'):
        ProCoLoss(K, D).eval()(torch.randn(8, D), LABELS)
    with pytest.raises(RuntimeError, match='SetEpochHook'):
        ProCoLoss(K, D)(torch.randn(8, D), LABELS)
    with pytest.raises(ValueError, match='num_classes=1 and embedding_size=5'):
        ProCoLoss(1, D)
    with pytest.raises(ValueError, match='temperature=0 and'):
        ProCoLoss(K, D, temperature=0)
    with pytest.raises(ValueError, match='takes no miner'):
        build()(torch.randn(8, D), LABELS, (0,))


def test_a_class_with_one_image_has_the_largest_concentration():
    """Also if rounding makes its unit vector longer than 1."""
    images = F.normalize(torch.randn(500, 16))
    assert (images.norm(dim=1) > 1).any()
    assert (estimate(images, torch.ones(500), 1e4)[1] == 1e4).all()
