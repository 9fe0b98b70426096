"""Two ranks of B images are one process on 2 * B images, for every metric loss."""

import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample
from pytorch_metric_learning import losses
from torch import nn

from mmimbal.models.needs import give_epoch
from mmimbal.registry import MODELS
from tests.distributed import run_on_ranks
from tests.models.losses.test_pml import ARGUMENTS, names

CONTRASTIVE = dict(type='mmimbal.ContrastiveLoss')
BATCH_ALL = dict(type='mmimbal.BatchAllTripletLoss', margin=0.5)
CENTRE = 'mmimbal.ClassCentre{}Loss'
MEMORY = dict(type='mmimbal.ClassBalancedMemory', slots=2)
HEADS = {
    **{
        name: dict(metric_loss=dict(type=f'mmimbal.{name}', **ARGUMENTS.get(name, {})))
        for name in names(losses)
    },
    'P2SGradLoss': dict(
        metric_loss=dict(type='mmimbal.P2SGradLoss', descriptors_dim=4)
    ),
    'semi-hard': dict(metric_loss=dict(BATCH_ALL, mining='semi_hard')),
    'hard': dict(metric_loss=dict(BATCH_ALL, mining='hard')),
    'class-balanced': dict(metric_loss=dict(BATCH_ALL, reduction='class_balanced')),
    'miner': dict(
        metric_loss=BATCH_ALL, miner=dict(type='mmimbal.MultiSimilarityMiner')
    ),
    'centre, triplet': dict(metric_loss=dict(type=CENTRE.format('Triplet'))),
    'centre, ranking': dict(metric_loss=dict(type=CENTRE.format('Ranking'))),
    'centre, quadruplet': dict(metric_loss=dict(type=CENTRE.format('Quadruplet'))),
    'centre, first phase': dict(
        metric_loss=dict(type=CENTRE.format('Triplet'), balanced_epochs=1)
    ),
    'bcl': dict(
        type='mmimbal.BalancedContrastiveClsHead',
        metric_loss=dict(type='mmimbal.BalancedContrastiveLoss'),
    ),
    'memory': dict(metric_loss=dict(MEMORY, loss=CONTRASTIVE)),
    'memory, triplet': dict(metric_loss=dict(MEMORY, loss=BATCH_ALL)),
    'memory, miner': dict(
        metric_loss=dict(
            MEMORY, loss=CONTRASTIVE, miner=dict(type='mmimbal.MultiSimilarityMiner')
        )
    ),
}
BATCHES = [[0, 1, 2, 0, 1, 2, 0, 0], [0, 0, 0, 1, 1, 0, 2, 0], [2, 1, 0, 0]]


class Pair(nn.Module):
    """A net without batch norm, and a head."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.net = nn.Linear(6, 8)
        self.head = head

    def forward(self, images, samples):
        return self.head.loss((self.net(images),), samples)


def learn(options: dict, dtype: torch.dtype, rank: int, ranks: int) -> list[dict]:
    """Return loss, gradients and buffers of three batches.

    Weights stay as they are: rounding must not add up.
    """
    torch.manual_seed(0)
    head = dict(type='mmimbal.MetricLearningClsHead', num_classes=3, in_channels=8)
    model = Pair(MODELS.build(dict(head, embedding_size=4, **options)))
    model = model.to(dtype).train()
    give_epoch(model.modules(), 0, 2)
    parallel = nn.parallel.DistributedDataParallel(model) if ranks > 1 else model
    steps = []
    for number, labels in enumerate(BATCHES):
        torch.manual_seed(number)
        np.random.seed(number)  # NPairsLoss draws its pairs
        images = torch.randn(len(labels), 6).to(dtype)
        part = slice(*(len(labels) // ranks * r for r in (rank, rank + 1)))
        samples = [DataSample().set_gt_label(label) for label in labels[part]]
        losses = parallel(images[part], samples)
        model.zero_grad()
        (losses['loss_cls'] + losses['loss_metric']).backward()
        steps.append(
            {'loss_metric': losses['loss_metric'].detach()}
            | {key: p.grad.clone() for key, p in model.named_parameters()}
            | {f'after {key}': b.clone() for key, b in model.named_buffers()}
        )
    return steps


def learn_all(rank: int, ranks: int = 2) -> dict:
    return {
        (name, dtype): learn(options, dtype, rank, ranks)
        for name, options in HEADS.items()
        for dtype in (torch.float32, torch.float64)
    }


@pytest.fixture(scope='module')
def found():
    return run_on_ranks(2, learn_all)


@pytest.mark.parametrize('name', HEADS)
def test_two_ranks_learn_as_one_process(found, name):
    whole = learn(HEADS[name], torch.float64, 0, 1)
    for rank in found:
        for expected, step in zip(whole, rank[name, torch.float64], strict=True):
            assert step.keys() == expected.keys()
            for key, value in step.items():
                torch.testing.assert_close(
                    value, expected[key], rtol=1e-6, atol=1e-6, msg=key
                )


@pytest.mark.parametrize('name', HEADS)
def test_float32_learns_what_float64_does(found, name):
    """Roughly: scales of up to 80 times a similarity multiply what rounding does.

    Such a logit is off by 80 * 2**-24 and a few times more, thus a probability by 1e-5
    of itself, and the gradient, of the same scale, by as much of its largest entry. A
    hundred times that is allowed; a wrong gradient, such as that of half of the batch,
    is off by much more.
    """
    for rank in found:
        for exact, step in zip(
            rank[name, torch.float64], rank[name, torch.float32], strict=True
        ):
            for key, value in step.items():
                expected = exact[key].to(value.dtype)
                known = expected[expected.isfinite()].abs().double()
                tolerance = 1e-3 * max([0.01, *known.flatten().tolist()])
                torch.testing.assert_close(
                    value, expected, rtol=0, atol=tolerance, msg=key
                )


@pytest.mark.parametrize('name', HEADS)
def test_ranks_have_the_same_buffers_to_the_bit(found, name):
    for first, second in zip(
        *(rank[name, torch.float32] for rank in found), strict=True
    ):
        for key in first:
            if key.startswith('after'):
                assert first[key].equal(second[key])
