import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mmimbal.models.losses import LADELoss
from mmimbal.models.losses.lade import lade_regularizer
from tests.distributed import run_on_ranks

COUNTS = np.array([60, 30, 10])
PRIOR = COUNTS / COUNTS.sum()
LABELS = torch.tensor([0, 1, 0, 0, 2, 1])


def build(**options):
    loss = LADELoss(**options)
    loss.set_class_counts(COUNTS)
    return loss


def naive(logits, labels, penalty):
    """The formula of the paper, class by class."""
    total = 0.0
    for c in sorted(set(labels.tolist())):
        own = [logits[i, c] for i in range(len(labels)) if labels[i] == c]
        weighted = [
            (1 / 3) / PRIOR[labels[i]] * torch.exp(logits[i, c])
            for i in range(len(labels))
        ]
        log_mean = torch.log(sum(weighted) / len(weighted))
        bound = sum(own) / len(own) - log_mean - penalty * log_mean**2
        total = total - PRIOR[c] * bound
    return total


@pytest.mark.parametrize('labels', [LABELS, LABELS % 2, torch.ones(6).long()])
@pytest.mark.parametrize('penalty', [0.0, 0.3])
def test_value_and_gradient_equal_the_paper(labels, penalty):
    ours = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    prior = torch.tensor(PRIOR).log()
    value = lade_regularizer(ours, labels, prior, penalty)
    expected = naive(theirs, labels, penalty)
    torch.testing.assert_close(value, expected)
    value.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_it_is_added_to_logit_adjusted_cross_entropy():
    logits = torch.randn(6, 3)
    adjusted = F.cross_entropy(logits + torch.tensor(PRIOR).log().float(), LABELS)
    torch.testing.assert_close(build(alpha=0.0)(logits, LABELS), adjusted)
    found = build(alpha=0.5, penalty=0.2)(logits, LABELS)
    expected = adjusted + 0.5 * naive(logits.double(), LABELS, 0.2).float()
    torch.testing.assert_close(found, expected)


def test_its_optimum_is_the_log_ratio_of_densities():
    """Two classes on four points, 90 to 10: the bound finds log p(x|y) / p_u(x)."""
    given = torch.tensor([[0.4, 0.3, 0.2, 0.1], [0.1, 0.1, 0.3, 0.5]])
    counts = (torch.tensor([[900.0], [100.0]]) * given).round().long()
    labels = torch.arange(2).repeat_interleave(counts.sum(1))
    places = torch.cat([torch.arange(4).repeat_interleave(row) for row in counts])
    table = torch.zeros(4, 2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([table], lr=0.5, max_iter=200)
    prior = torch.tensor([0.9, 0.1], dtype=torch.float64).log()

    def close():
        optimizer.zero_grad()
        value = lade_regularizer(table[places], labels, prior, 0.1)
        value.backward()
        return value

    optimizer.step(close)
    expected = (given / given.mean(0)).log().T.double()
    torch.testing.assert_close(table.detach(), expected, atol=1e-3, rtol=1e-3)


def on_rank(rank, world_size):
    torch.manual_seed(0)
    logits = torch.randn(6, 3)
    half = slice(3 * rank, 3 * rank + 3) if world_size == 2 else slice(None)
    leaf = logits[half].requires_grad_()
    value = build(alpha=0.5)(leaf, LABELS[half])
    value.backward()
    return value.detach(), leaf.grad


def test_two_ranks_equal_one_process():
    value, gradient = on_rank(0, 1)
    (first, ours), (second, theirs) = run_on_ranks(2, on_rank, 2)
    torch.testing.assert_close((first + second) / 2, value)
    torch.testing.assert_close(torch.cat([ours, theirs]) / 2, gradient)


def test_bad_options_are_named():
    with pytest.raises(ValueError, match='alpha=-1 and penalty'):
        LADELoss(alpha=-1)
    with pytest.raises(ValueError, match='needs one class per image'):
        build()(torch.randn(6, 3), torch.rand(6, 3))
    with pytest.raises(RuntimeError, match='ClassCountsHook'):
        LADELoss()(torch.randn(6, 3), LABELS)
