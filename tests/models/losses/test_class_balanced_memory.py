import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_metric_learning import losses, miners

from mmimbal.models.losses import BatchAllTripletLoss, ClassBalancedMemory
from mmimbal.models.losses.class_balanced_memory import LOSSES
from mmimbal.models.losses.pml import TAKES_NO_MINER
from mmimbal.registry import MODELS

K, D, SLOTS = 3, 4, 2
BATCHES = [[0, 0, 0, 0, 1, 0], [0, 2, 0, 0, 0, 0], [1, 2, 0, 0, 0, 0]]
CONTRASTIVE = losses.ContrastiveLoss(neg_margin=1.5)


def batches(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [
        (torch.randn(len(labels), D, generator=generator), torch.tensor(labels))
        for labels in BATCHES
    ]


def build(loss=None, **options):
    return ClassBalancedMemory(loss or CONTRASTIVE, K, D, SLOTS, **options)


def contents(memory):
    embeddings, labels = memory.remembered()
    return sorted((int(k), e.tolist()) for e, k in zip(embeddings, labels, strict=True))


@given(st.lists(st.lists(st.integers(0, K - 1), min_size=1, max_size=7), max_size=5))
def test_it_holds_the_newest_of_each_class(of_batches):
    memory, seen = build(), []
    for labels in of_batches:
        embeddings = torch.randn(len(labels), D)
        memory(embeddings, torch.tensor(labels))
        seen += zip(labels, embeddings.tolist(), strict=True)
    expected = [
        (k, embedding)
        for k in range(K)
        for embedding in [e for label, e in seen if label == k][-SLOTS:]
    ]
    assert contents(memory) == sorted(expected)


@pytest.mark.parametrize(
    'loss', [CONTRASTIVE, losses.TripletMarginLoss(0.8), BatchAllTripletLoss(0.8)]
)
def test_loss_is_over_all_pairs_of_batch_and_memory(loss):
    """Worked out by a PML loss on one batch of both, of which the batch is anchors."""
    memory, (first, second, _) = build(loss), batches()
    memory(*first)
    old, their_labels = memory.remembered()
    embeddings = second[0].clone().requires_grad_()
    value = memory(embeddings, second[1])

    peer = losses.TripletMarginLoss(0.8) if loss is not CONTRASTIVE else loss
    again = second[0].clone().requires_grad_()
    everything = torch.cat([again, old])
    labels = torch.cat([second[1], their_labels])
    pairs = [(a, b) for a in range(len(again)) for b in range(len(labels)) if a != b]
    same = [pair for pair in pairs if labels[pair[0]] == labels[pair[1]]]
    different = [pair for pair in pairs if pair not in same]
    indices = [*torch.tensor(same).T, *torch.tensor(different).T]
    expected = peer(everything, labels, tuple(indices))
    torch.testing.assert_close(value, expected)
    value.backward()
    expected.backward()
    torch.testing.assert_close(embeddings.grad, again.grad)


def test_an_empty_memory_is_the_plain_loss():
    (embeddings, labels), *_ = batches()
    torch.testing.assert_close(
        build()(embeddings, labels), CONTRASTIVE(embeddings, labels)
    )


def test_a_rare_class_has_partners_in_a_batch_without_any():
    memory = build(losses.TripletMarginLoss(0.8))
    for embeddings, labels in batches()[:2]:
        memory(embeddings, labels)
    single = torch.tensor([1])
    leaf = torch.randn(1, D, requires_grad=True)
    memory(leaf, single).backward()
    assert leaf.grad.abs().sum() > 0


@pytest.mark.parametrize(
    'miner', [miners.MultiSimilarityMiner(0.5), miners.TripletMarginMiner(0.5)]
)
def test_miner_chooses_among_batch_and_memory_without_the_image_itself(miner):
    memory, (first, second, _) = build(miner=miner), batches()
    memory(*first)
    old, their_labels = memory.remembered()
    value = memory(*second)
    everything = torch.cat([second[0], old])
    labels = torch.cat([second[1], their_labels])
    mined = miner(*second, everything, labels)
    parts = [mined] if len(mined) == 3 else [mined[:2], mined[2:]]
    kept = []
    for part in parts:
        triples = [t for t in zip(*map(list, part), strict=True) if t[0] != t[1]]
        kept += torch.tensor(triples).T if triples else torch.zeros(2, 0).long()
    expected = CONTRASTIVE(*second, tuple(kept), everything, labels)
    torch.testing.assert_close(value, expected)


def test_a_copy_of_its_state_goes_on_to_the_bit():
    memory, (first, second, third) = build(), batches()
    memory(*first)
    memory(*second)
    resumed = build()
    resumed.load_state_dict(copy.deepcopy(memory.state_dict()))
    assert resumed(*third).equal(memory(*third))
    assert contents(resumed) == contents(memory)


def test_a_memory_of_another_size_is_not_taken_for_filled():
    """mmengine loads what fits, and skips the rest."""
    trained = build()
    trained(*batches()[0])
    larger = ClassBalancedMemory(CONTRASTIVE, K, D, SLOTS + 3)
    state = {
        key: value
        for key, value in trained.state_dict().items()
        if value.shape == larger.state_dict()[key].shape
    }
    larger.load_state_dict(state, strict=False)
    assert contents(larger) == []


def test_eval_mode_remembers_nothing():
    memory = build().eval()
    memory(*batches()[0])
    assert contents(memory) == []


@pytest.mark.parametrize('name', LOSSES)
def test_every_loss_that_can_trains_from_a_config(name):
    memory = MODELS.build(
        dict(
            type='mmimbal.ClassBalancedMemory',
            num_classes=K,
            embedding_size=D,
            loss=dict(type=f'mmimbal.{name}'),
        )
    )
    for embeddings, labels in batches():
        leaf = embeddings.clone().requires_grad_()
        memory(leaf, labels).backward()
        assert torch.isfinite(leaf.grad).all()


def test_bad_options_are_named():
    with pytest.raises(
        ValueError, match='slots=0 must be a whole number of at least 1'
    ):
        ClassBalancedMemory(CONTRASTIVE, K, D, slots=0)
    with pytest.raises(ValueError, match=r'ProxyAnchorLoss cannot compare .* choose'):
        build(losses.ProxyAnchorLoss(K, D))
    with pytest.raises(ValueError, match=r'ClassBalancedMemory\(miner='):
        build()(*batches()[0], (0, 0, 0))
    easy = dict(type='mmimbal.BatchEasyHardMiner', pos_strategy='easy')
    with pytest.raises(ValueError, match="pos_strategy='easy' of BatchEasyHardMiner"):
        build(miner=easy)
    assert not TAKES_NO_MINER & set(LOSSES)
