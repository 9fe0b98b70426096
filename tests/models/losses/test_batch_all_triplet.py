import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning import distances, losses, miners, reducers

from mmimbal.models.losses import BatchAllTripletLoss, triplet_sums
from mmimbal.models.losses.pairs import pair_masks
from mmimbal.registry import MODELS

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=14)
MARGINS = st.sampled_from([0.0, 0.05, 0.2, 1.0, 5.0])


def naive(matrix, labels, margin, mining, reduction):
    """Loop over all triplets, in float64."""
    size = len(labels)
    of_class = {}
    for anchor in range(size):
        triplets = [
            (matrix[anchor, p], matrix[anchor, n])
            for p, n in itertools.permutations(range(size), 2)
            if p != anchor and labels[p] == labels[anchor] != labels[n]
        ]
        if mining == 'hard' and triplets:
            triplets = [(max(t[0] for t in triplets), min(t[1] for t in triplets))]
        if mining == 'semi_hard':
            triplets = [(ap, an) for ap, an in triplets if ap < an < ap + margin]
        found = of_class.setdefault(labels[anchor], [])
        found += [torch.relu(ap - an + margin) for ap, an in triplets]
    zero = 0 * matrix.sum()
    values = list(itertools.chain.from_iterable(of_class.values()))
    if reduction == 'mean':
        return sum(values, zero) / max(len(values), 1)
    if reduction == 'nonzero':
        return sum(values, zero) / max(sum(v > 0 for v in values), 1)
    means = [
        sum(found, zero) / max(sum(v > 0 for v in found), 1)
        for found in of_class.values()
        if found
    ]
    return sum(means, zero) / max(len(means), 1)


@settings(deadline=None)
@given(
    LABELS,
    MARGINS,
    st.sampled_from(['all', 'semi_hard', 'hard']),
    st.sampled_from(['nonzero', 'mean', 'class_balanced']),
    st.integers(0, 1000),
)
def test_value_and_gradient_equal_a_loop(labels, margin, mining, reduction, seed):
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(len(labels), 3, generator=generator)
    distance = distances.LpDistance()
    loss = BatchAllTripletLoss(margin, distance, mining, reduction)
    ours = embeddings.clone().requires_grad_()
    theirs = embeddings.double().requires_grad_()
    value = loss(ours, torch.tensor(labels))
    expected = naive(distance(theirs), labels, margin, mining, reduction)
    torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-6)
    value.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad.double(), theirs.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('distance', ['LpDistance', 'CosineSimilarity', 'SNRDistance'])
@pytest.mark.parametrize('reduction', ['nonzero', 'mean'])
@pytest.mark.parametrize('margin', [0.05, 0.3])
def test_equal_to_pml(distance, reduction, margin):
    torch.manual_seed(0)
    labels = torch.multinomial(torch.tensor([0.67, 0.2, 0.1, 0.03]), 90, True)
    embeddings = torch.randn(90, 16, requires_grad=True)
    reducer = {'nonzero': reducers.AvgNonZeroReducer, 'mean': reducers.MeanReducer}
    peer = losses.TripletMarginLoss(
        margin, distance=getattr(distances, distance)(), reducer=reducer[reduction]()
    )
    ours = MODELS.build(
        dict(
            type='mmimbal.BatchAllTripletLoss',
            margin=margin,
            distance=dict(type=f'mmimbal.{distance}'),
            reduction=reduction,
        )
    )
    results = []
    for loss in (ours, peer):
        value = loss(embeddings, labels)
        results.append((value, *torch.autograd.grad(value, embeddings)))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
    ('mining', 'miner'),
    [
        ('semi_hard', miners.TripletMarginMiner(0.2, 'semihard')),
        ('hard', miners.BatchHardMiner()),
    ],
)
def test_mining_equals_the_miners_of_pml(mining, miner):
    torch.manual_seed(0)
    labels, embeddings = torch.randint(0, 5, (60,)), torch.randn(60, 8)
    expected = losses.TripletMarginLoss(0.2)(
        embeddings, labels, miner(embeddings, labels)
    )
    value = BatchAllTripletLoss(0.2, mining=mining)(embeddings, labels)
    torch.testing.assert_close(value, expected)


@pytest.mark.parametrize('semi_hard', [False, True])
def test_gradcheck(semi_hard):
    torch.manual_seed(0)
    labels = torch.tensor([0, 0, 1, 1, 1, 2, 2, 3])
    matrix = torch.rand(8, 8, dtype=torch.float64, requires_grad=True)

    def sums(matrix):
        return triplet_sums.triplet_sums(matrix, *pair_masks(labels), 0.3, semi_hard)[0]

    assert torch.autograd.gradcheck(sums, matrix)


def test_duplicates_are_ties_that_do_not_count():
    """With margin 0, a negative as near as the positive gives 0 and no gradient."""
    embeddings = torch.ones(6, 4, requires_grad=True)
    labels = torch.tensor([0, 0, 0, 1, 1, 2])
    matrix = distances.LpDistance()(embeddings)
    sums, counts = triplet_sums.triplet_sums(matrix, *pair_masks(labels), 0.0)
    assert sums.sum() == 0 and counts.sum() == 0
    loss = BatchAllTripletLoss(0.2)(embeddings, labels)  # collapsed: the margin
    assert loss.item() == pytest.approx(0.2)


@pytest.mark.parametrize('labels', [[0], [0, 0, 0], [0, 1, 2]])
@pytest.mark.parametrize('mining', ['all', 'semi_hard', 'hard'])
@pytest.mark.parametrize('reduction', ['nonzero', 'mean', 'class_balanced'])
def test_no_triplet_gives_zero_connected_to_the_graph(labels, mining, reduction):
    embeddings = torch.randn(len(labels), 4, requires_grad=True)
    loss = BatchAllTripletLoss(mining=mining, reduction=reduction)(
        embeddings, torch.tensor(labels)
    )
    loss.backward()
    assert loss == 0 and torch.equal(embeddings.grad, torch.zeros_like(embeddings))


def test_nan_is_not_hidden():
    embeddings = torch.randn(6, 4)
    embeddings[0, 0] = torch.nan
    assert BatchAllTripletLoss()(embeddings, torch.tensor([0, 0, 1, 1, 2, 2])).isnan()


def test_chunks_change_nothing(monkeypatch):
    torch.manual_seed(0)
    matrix, labels = torch.rand(50, 50), torch.randint(0, 4, (50,))
    whole = triplet_sums.triplet_sums(matrix, *pair_masks(labels), 0.2)
    monkeypatch.setitem(triplet_sums.CHUNK, 'cpu', 120)
    parts = triplet_sums.triplet_sums(matrix, *pair_masks(labels), 0.2)
    assert whole[0].equal(parts[0]) and whole[1].equal(parts[1])


def test_batch_of_4096_and_autocast():
    embeddings = torch.randn(4096, 8, requires_grad=True)
    labels = torch.multinomial(torch.tensor([0.9, 0.05, 0.05]), 4096, True)
    with torch.autocast('cpu', torch.bfloat16):
        loss = BatchAllTripletLoss()(embeddings, labels)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(embeddings.grad).all()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(margin=-0.1), 'margin=-0.1 must not be negative'),
        (dict(mining='easy'), "mining='easy' must be one of all, semi_hard, hard"),
        (dict(reduction='sum'), "reduction='sum' must be one of nonzero"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        BatchAllTripletLoss(**options)


def test_triplets_of_a_miner_are_refused():
    with pytest.raises(ValueError, match='remove the miner'):
        BatchAllTripletLoss()(torch.randn(2, 2), torch.tensor([0, 1]), (0, 0, 0))


@pytest.mark.parametrize('mining', ['all', 'semi_hard', 'hard'])
def test_share_of_active_triplets_equals_a_loop(mining):
    torch.manual_seed(0)
    embeddings, labels = torch.randn(14, 3), torch.randint(0, 4, (14,))
    matrix, loss = distances.LpDistance()(embeddings), BatchAllTripletLoss(0.3)
    loss.mining = mining
    loss(embeddings, labels)
    active, among = 0, 0
    for anchor in range(14):
        triplets = [
            (matrix[anchor, p], matrix[anchor, n])
            for p, n in itertools.permutations(range(14), 2)
            if p != anchor and labels[p] == labels[anchor] != labels[n]
        ]
        if mining == 'hard' and triplets:
            triplets = [(max(t[0] for t in triplets), min(t[1] for t in triplets))]
        among += len(triplets)
        active += sum(
            bool(an < ap + 0.3) and (mining != 'semi_hard' or bool(ap < an))
            for ap, an in triplets
        )
    assert loss.active_share.item() == pytest.approx(active / among)


def test_pairs_of_a_miner_are_the_triplets_of_pml():
    torch.manual_seed(0)
    labels, embeddings = torch.randint(0, 4, (40,)), torch.randn(40, 8)
    mined = miners.MultiSimilarityMiner(0.3)(embeddings, labels)
    expected = losses.TripletMarginLoss(0.2)(embeddings, labels, mined)
    value = BatchAllTripletLoss(0.2)(embeddings, labels, mined)
    torch.testing.assert_close(value, expected)
    assert not value.equal(BatchAllTripletLoss(0.2)(embeddings, labels))


def test_references_are_compared_with_as_in_pml():
    torch.manual_seed(0)
    labels, ref_labels = torch.randint(0, 3, (10,)), torch.randint(0, 4, (15,))
    leaves = [torch.randn(n, 4, requires_grad=True) for n in (10, 15)]
    results = []
    for loss in (BatchAllTripletLoss(0.3), losses.TripletMarginLoss(0.3)):
        value = loss(leaves[0], labels, None, leaves[1], ref_labels)
        results.append((value, *torch.autograd.grad(value, leaves)))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize('margin', [0.0, 1.0])
def test_similarities_of_zero_are_ties(margin):
    """Their negative is -0.0, which equals 0.0."""
    embeddings = torch.eye(4)[[0, 0, 1, 1, 2, 2, 3, 3]]
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 3, 0])
    distance = distances.CosineSimilarity()
    expected = losses.TripletMarginLoss(margin, distance=distance)(embeddings, labels)
    value = BatchAllTripletLoss(margin, distance)(embeddings, labels)
    assert value.item() == pytest.approx(expected.item())


@pytest.mark.parametrize(
    'distance',
    [
        distances.LpDistance(normalize_embeddings=False, power=2),
        distances.DotProductSimilarity(normalize_embeddings=False),
    ],
)
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_a_margin_below_the_rounding_of_the_distances_counts(distance, dtype):
    """Ties at a distance of 1e7: each triplet is worth the margin."""
    embeddings = torch.tensor([[0, 0], [3e3, 0], [0, 3e3]], dtype=dtype)
    if distance.is_inverted:
        embeddings = torch.full((3, 2), 3e3, dtype=dtype)
    labels, leaves = torch.tensor([0, 0, 1]), []
    for loss in (
        BatchAllTripletLoss(0.2, distance),
        losses.TripletMarginLoss(0.2, distance=distance),
    ):
        leaf = embeddings.clone().requires_grad_()
        value = loss(leaf, labels)
        value.backward()
        assert value.item() == pytest.approx(0.2)
        leaves.append(leaf)
    torch.testing.assert_close(leaves[0].grad, leaves[1].grad)


def test_float64_is_compared_in_float64():
    matrix = torch.tensor([[0, 1e8 + 1, 1e8]] * 3, dtype=torch.float64)
    masks = pair_masks(torch.tensor([0, 0, 1]))
    sums, counts = triplet_sums.triplet_sums(matrix[:1], *(m[:1] for m in masks), 0.0)
    assert sums.tolist() == [1.0] and counts.tolist() == [1]


@pytest.mark.parametrize('semi_hard', [False, True])
def test_both_ways_of_sorting_agree(semi_hard, monkeypatch):
    torch.manual_seed(0)
    matrix, masks = torch.rand(40, 40), pair_masks(torch.randint(0, 4, (40,)))
    packed = triplet_sums.triplet_sums(matrix, *masks, 0.2, semi_hard)
    monkeypatch.setattr(triplet_sums, 'needs_float64', lambda *_: True)
    exact = triplet_sums.triplet_sums(matrix, *masks, 0.2, semi_hard)
    torch.testing.assert_close(packed[0], exact[0])
    assert packed[1].equal(exact[1])


def test_half_precision_references_and_wrong_labels():
    labels = torch.tensor([0, 1, 0])
    references = torch.randn(3, 4).half()
    loss = BatchAllTripletLoss()
    found = loss(torch.randn(3, 4).half(), labels, None, references, labels)
    assert found.dtype == torch.float32
    with pytest.raises(ValueError, match='1 labels for 8 embeddings'):
        loss(torch.randn(8, 2), torch.tensor([0]))
