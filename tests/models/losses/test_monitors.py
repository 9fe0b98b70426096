import itertools

import pytest
import torch
from pytorch_metric_learning.distances import CosineSimilarity, LpDistance

from mmimbal.models.losses.monitors import (
    active_triplets,
    class_distances,
    embedding_spread,
)


def test_spread_is_zero_when_collapsed_and_one_when_even():
    assert embedding_spread(torch.ones(8, 4)) == pytest.approx(0, abs=1e-3)
    axes = torch.eye(4)
    assert embedding_spread(torch.cat([axes, -axes])) == pytest.approx(1)
    assert embedding_spread(5 * torch.cat([axes, -axes])) == pytest.approx(1)


@pytest.mark.parametrize('distance', [LpDistance(), CosineSimilarity()])
@pytest.mark.parametrize('margin', [0.0, 0.2, 3.0])
def test_share_equals_a_loop_over_all_triplets(distance, margin):
    torch.manual_seed(0)
    embeddings, labels = torch.randn(14, 3), torch.randint(0, 4, (14,))
    matrix = distance(embeddings) * (-1 if distance.is_inverted else 1)
    triplets = [
        (matrix[a, n] < matrix[a, p] + margin).item()
        for a, p, n in itertools.permutations(range(14), 3)
        if labels[a] == labels[p] != labels[n]
    ]
    share = active_triplets(embeddings, labels, distance, margin)
    assert share.item() == pytest.approx(sum(triplets) / len(triplets))


def test_distances_of_near_class_means_are_exact():
    """Of more than 25 classes, torch would compute them by a matrix product."""
    random = torch.Generator().manual_seed(0)
    means = torch.ones(40, 8) + 1e-4 * torch.randn(40, 8, generator=random)
    means = torch.nn.functional.normalize(means)
    _, nearest = class_distances(means, torch.ones(40))
    pairs = (means.double()[:, None] - means.double()).norm(dim=2)
    expected = pairs.fill_diagonal_(torch.inf).amin(1)
    assert torch.allclose(nearest.double(), expected, rtol=1e-2)


@pytest.mark.parametrize('labels', [[0, 0, 0], [0, 1, 2]])
def test_no_triplets_give_zero(labels):
    share = active_triplets(torch.randn(3, 2), torch.tensor(labels), LpDistance(), 0.1)
    assert share == 0
