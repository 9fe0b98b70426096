import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_metric_learning import (
    distances,
    losses,
    miners,
    reducers,
    regularizers,
)

from mmimbal.models.losses import BatchAllTripletLoss, triplet_sums
from mmimbal.models.losses.pairs import pair_masks
from mmimbal.registry import MODELS

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=14)
MARGINS = st.sampled_from([0.0, 0.05, 0.2, 1.0, 5.0])


def triplets_of(matrix, labels, anchor, margin, mining):
    """Return the distances of each triplet of an anchor that mining leaves."""
    triplets = [
        (matrix[anchor, p], matrix[anchor, n])
        for p, n in itertools.permutations(range(len(labels)), 2)
        if p != anchor and labels[p] == labels[anchor] != labels[n]
    ]
    if mining == 'hard' and triplets:
        return [(max(t[0] for t in triplets), min(t[1] for t in triplets))]
    if mining == 'semi_hard':
        return [(ap, an) for ap, an in triplets if ap < an < ap + margin]
    return triplets


def naive(matrix, labels, margin, mining, reduction):
    """Loop over all triplets."""
    size = len(labels)
    of_class = {}
    for anchor in range(size):
        triplets = triplets_of(matrix, labels, anchor, margin, mining)
        found = of_class.setdefault(labels[anchor], [])
        found += [torch.relu(ap - an + margin) for ap, an in triplets]
    zero = 0 * matrix.sum()
    values = list(itertools.chain.from_iterable(of_class.values()))
    if reduction == 'sum':
        return sum(values, zero)
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


@given(
    LABELS,
    MARGINS,
    st.sampled_from(['all', 'semi_hard', 'hard']),
    st.sampled_from(['nonzero', 'mean', 'sum', 'class_balanced']),
    st.integers(0, 1000),
)
def test_value_and_gradient_equal_a_loop(labels, margin, mining, reduction, seed):
    """In float64: a triplet at the margin counts or not, by its rounding."""
    generator = torch.Generator().manual_seed(seed)
    ours = torch.randn(len(labels), 3, generator=generator, dtype=torch.float64)
    theirs = ours.clone().requires_grad_()
    ours.requires_grad_()
    distance = distances.LpDistance()
    loss = BatchAllTripletLoss(margin, distance, mining, reduction)
    value = loss(ours, torch.tensor(labels))
    expected = naive(distance(theirs), labels, margin, mining, reduction)
    torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-9)
    value.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-7, atol=1e-9)


@given(
    LABELS,
    st.sampled_from([0.0, 0.125, 0.25, 1.0, 5.0]),
    st.booleans(),
    st.integers(0, 1000),
)
def test_sums_of_float32_equal_a_loop(labels, margin, semi_hard, seed):
    """Of eighths, many of which are equal: their sums and differences are exact."""
    generator = torch.Generator().manual_seed(seed)
    size = len(labels)
    matrix = torch.randint(0, 16, (size, size), generator=generator) / 8
    assert not triplet_sums.needs_float64(matrix, margin)
    ours, theirs = (matrix.clone().requires_grad_() for _ in range(2))
    masks = pair_masks(torch.tensor(labels))
    sums, counts = triplet_sums.triplet_sums(ours, *masks, margin, semi_hard)
    mining = 'semi_hard' if semi_hard else 'all'
    values = [
        torch.relu(ap - an + margin)
        for anchor in range(size)
        for ap, an in triplets_of(theirs, labels, anchor, margin, mining)
    ]
    expected = sum(values, 0 * theirs.sum())
    assert sums.sum().equal(expected)
    assert counts.sum() == sum(value > 0 for value in values)
    sums.sum().backward()
    expected.backward()
    assert ours.grad.equal(theirs.grad)


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
        (dict(reduction='max'), "reduction='max' must be one of nonzero"),
        (dict(embedding_reg_weight=-1), 'embedding_reg_weight=-1 must not be'),
        (
            dict(reduction='mean', reducer=reducers.MeanReducer()),
            "reduction='mean' and a reducer are given: use only one",
        ),
        (
            dict(reducer=reducers.PerAnchorReducer()),
            'cannot use PerAnchorReducer.*AvgNonZeroReducer, .*mmimbal.TripletMargin',
        ),
        (
            dict(reducer=reducers.ThresholdReducer(high=1)),
            r'\(low=None\) would average',
        ),
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


REDUCERS = [
    dict(type='AvgNonZeroReducer'),
    dict(type='MeanReducer'),
    dict(type='SumReducer'),
    dict(type='ThresholdReducer', low=0.1),
    dict(type='ThresholdReducer', low=0.3),
    dict(type='ThresholdReducer', low=0, high=0.25),
    dict(type='ThresholdReducer', low=0.05, high=0.4),
    dict(type='ThresholdReducer', low=0.5, high=0.4),
    dict(type='ClassWeightedReducer', weights=[0.5, 2.0, 0.0, 1.0]),
]
MINERS = {
    'all': lambda *_: None,
    'semi_hard': miners.TripletMarginMiner(0.2, 'semihard'),
    'hard': miners.BatchHardMiner(),
}


def batch(size=40):
    """Return embeddings whose triplets have losses of 0 to 1, and labels of 4."""
    labels = torch.multinomial(torch.tensor([0.5, 0.3, 0.15, 0.05]), size, True)
    centres = torch.randn(4, 6, dtype=torch.float64)
    embeddings = centres[labels] + 0.4 * torch.randn(size, 6, dtype=torch.float64)
    return embeddings.requires_grad_(), labels


def built(cfg):
    return MODELS.build(dict(cfg, type=f'mmimbal.{cfg["type"]}'))


def assert_equal(ours, theirs, leaf):
    """Compare two losses, and what they tell the same leaf."""
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
    found, expected = (torch.autograd.grad(loss, leaf)[0] for loss in (ours, theirs))
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize('mining', MINERS)
@pytest.mark.parametrize('reducer', REDUCERS, ids=str)
def test_reducers_equal_those_of_pml(mining, reducer):
    embeddings, labels = batch()
    miner = MINERS[mining]
    peer = losses.TripletMarginLoss(0.2, reducer=built(reducer))
    expected = peer(embeddings, labels, miner(embeddings, labels))
    ours = MODELS.build(
        dict(
            type='mmimbal.BatchAllTripletLoss',
            mining=mining,
            reducer=dict(reducer, type=f'mmimbal.{reducer["type"]}'),
        )
    )
    assert_equal(ours(embeddings, labels), expected, embeddings)
    assert expected > 0 or reducer.get('low', 0) > 0.2


@pytest.mark.parametrize('mining', MINERS)
@pytest.mark.parametrize(
    'reducer',
    [
        reducers.MeanReducer,
        reducers.AvgNonZeroReducer,
        lambda **kwargs: reducers.ThresholdReducer(0.05, 0.18, **kwargs),
    ],
)
def test_a_reducer_keeps_the_statistics_of_pml(mining, reducer):
    embeddings, labels = batch()
    reducer = reducer(collect_stats=True)
    peer = losses.TripletMarginLoss(0.2, reducer=reducer)
    peer(embeddings, labels, MINERS[mining](embeddings, labels))
    loss = BatchAllTripletLoss(0.2, mining=mining, reducer=reducer)
    loss(embeddings, labels)
    for name in ('losses_size', 'num_past_filter'):
        expected = getattr(peer.reducer, name, None)
        assert getattr(loss.reducer, name, None) == expected != 0
    assert reducer.losses_size == 0  # each loss has a copy of its own


@pytest.mark.parametrize(
    ('regularizer', 'weight'),
    [
        (dict(type='LpRegularizer'), 1),
        (dict(type='LpRegularizer', p=1, power=2), 0.3),
        (dict(type='ZeroMeanRegularizer'), 0.5),
    ],
)
@pytest.mark.parametrize('one_class', [False, True])
def test_embedding_regularizer_equals_that_of_pml(regularizer, weight, one_class):
    """Also of a batch without triplets."""
    embeddings, labels = batch()
    if one_class:
        labels = torch.zeros_like(labels)
    peer = losses.TripletMarginLoss(
        0.2,
        embedding_regularizer=built(regularizer),
        embedding_reg_weight=weight,
        reducer=reducers.MeanReducer(),
    )
    ours = MODELS.build(
        dict(
            type='mmimbal.BatchAllTripletLoss',
            reducer=dict(type='mmimbal.MeanReducer'),
            embedding_regularizer=dict(
                regularizer, type=f'mmimbal.{regularizer["type"]}'
            ),
            embedding_reg_weight=weight,
        )
    )
    found = ours(embeddings, labels)
    assert_equal(found, peer(embeddings, labels), embeddings)
    assert found > BatchAllTripletLoss(reduction='mean')(embeddings, labels)


def test_a_regularizer_of_half_precision_is_not():
    embeddings = torch.full((4, 4), 200.0, dtype=torch.float16)
    regularizer = regularizers.LpRegularizer(power=2)
    loss = BatchAllTripletLoss(embedding_regularizer=regularizer)
    with torch.autocast('cpu', torch.bfloat16):
        found = loss(embeddings, torch.zeros(4, dtype=torch.long))
    assert found.item() == 4 * 200**2  # beyond float16


def test_a_class_without_a_weight_is_named():
    reducer = reducers.ClassWeightedReducer(torch.ones(2))
    with pytest.raises(ValueError, match='2 class weights, but a label is 5'):
        BatchAllTripletLoss(reducer=reducer)(torch.randn(3, 2), torch.tensor([0, 0, 5]))


def test_nan_is_not_hidden_by_bounds():
    embeddings = torch.randn(6, 4)
    embeddings[0, 0] = torch.nan
    for mining in ('all', 'hard'):
        reducer = reducers.ThresholdReducer(0.1, 0.9)
        loss = BatchAllTripletLoss(mining=mining, reducer=reducer)
        assert loss(embeddings, torch.tensor([0, 0, 1, 1, 2, 2])).isnan()


def test_a_reducer_counts_all_semi_hard_triplets_beside_those_it_takes():
    reducer = reducers.ThresholdReducer(low=0, high=0.05, collect_stats=True)
    loss = BatchAllTripletLoss(0.2, mining='semi_hard', reducer=reducer)
    embeddings, labels = torch.randn(12, 4), torch.arange(12) % 3
    loss(embeddings, labels)
    units = torch.nn.functional.normalize(embeddings)
    d = torch.cdist(units, units)
    triplets = [
        (a, p, n)
        for a, p, n in itertools.product(range(12), repeat=3)
        if a != p and labels[a] == labels[p] != labels[n]
    ]
    expected = sum(bool(d[a, p] < d[a, n] < d[a, p] + 0.2) for a, p, n in triplets)
    assert loss.reducer.losses_size == expected > 0


def test_sums_of_large_distances_are_exact():
    """The terms cancel: in float32, 0.0002 of 1000 would be lost."""
    masks = pair_masks(torch.arange(256) // 8)
    distances = 1000 + 0.3 * torch.randn(256, 256)
    found = triplet_sums.triplet_sums(distances, *masks, 0.2)[0]
    expected = triplet_sums.triplet_sums(distances.double(), *masks, 0.2)[0]
    torch.testing.assert_close(found.double(), expected, rtol=2e-5, atol=1e-2)
