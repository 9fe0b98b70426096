"""Losses that know the class counts, against formulas in NumPy."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from scipy.special import log_softmax, softmax
from torch import nn
from torch.nn import functional as F

from mmimbal.models import losses
from mmimbal.models.needs import give_epoch
from mmimbal.registry import MODELS
from tests.conftest import CONFIGS, tiny_digits, train
from tests.distributed import run_on_ranks

COUNTS = np.array([200, 50, 7, 1])
K = len(COUNTS)
PRIOR = COUNTS / COUNTS.sum()


def batch(size=30):
    random = np.random.default_rng(0)
    return random.normal(size=(size, K)), random.integers(0, K, size)


def cross_entropy(logits, labels):
    return -log_softmax(logits, 1)[np.arange(len(labels)), labels]


def logit_adjustment(logits, labels, tau):
    return cross_entropy(logits + tau * np.log(PRIOR), labels)


def balanced_softmax(logits, labels):
    weighed = COUNTS * np.exp(logits)
    return -np.log(
        (weighed / weighed.sum(1, keepdims=True))[range(len(labels)), labels]
    )


def vs(logits, labels, gamma, tau):
    scaled = logits * (COUNTS / COUNTS.max()) ** gamma
    return cross_entropy(scaled + tau * np.log(PRIOR), labels)


def effective(beta):
    weights = np.array([1 / sum(beta**i for i in range(n)) for n in COUNTS])
    return weights * K / weights.sum()


def class_balanced(logits, labels, beta, gamma):
    p = softmax(logits, 1)[np.arange(len(labels)), labels]
    return effective(beta)[labels] * (1 - p) ** gamma * -np.log(p)


def class_imbalance(logits, labels, alpha):
    p = softmax(logits, 1)[np.arange(len(labels)), labels]
    weights = (COUNTS.max() / COUNTS) ** alpha
    return (weights / weights.mean())[labels] * (1 - p) * -np.log(p)


def ldam(logits, labels, max_margin, scale):
    margins = max_margin * (COUNTS.min() / COUNTS) ** 0.25
    cosines = logits / scale
    return cross_entropy(scale * (cosines - np.eye(K)[labels] * margins), labels)


def smoothing(logits, labels, head, tail, shape):
    t = (COUNTS - COUNTS.min()) / (COUNTS.max() - COUNTS.min())
    e = {
        'concave': tail + (head - tail) * np.sin(np.pi * t / 2),
        'linear': tail + (head - tail) * t,
        'convex': head + (head - tail) * np.sin(3 * np.pi / 2 + np.pi * t / 2),
    }[shape][labels]
    targets = np.repeat(e[:, None] / (K - 1), K, axis=1)
    targets[np.arange(len(labels)), labels] = 1 - e
    return -(targets * log_softmax(logits, 1)).sum(1)


CASES = [
    ('LogitAdjustmentLoss', logit_adjustment, dict(tau=1.5)),
    ('BalancedSoftmaxLoss', balanced_softmax, {}),
    ('VSLoss', vs, dict(gamma=0.3, tau=0.7)),
    ('ClassBalancedLoss', class_balanced, dict(beta=0.9, gamma=0.0)),
    ('ClassBalancedLoss', class_balanced, dict(beta=0.999, gamma=2.0)),
    ('ClassBalancedLoss', class_balanced, dict(beta=0.0, gamma=0.5)),
    ('ClassImbalanceLoss', class_imbalance, dict(alpha=0.5)),
    ('LDAMLoss', ldam, dict(max_margin=0.5, scale=10.0)),
    *(
        ('LabelAwareSmoothingLoss', smoothing, dict(head=0.4, tail=0.1, shape=shape))
        for shape in ('concave', 'linear', 'convex')
    ),
]
OTHERS = {'GCLLoss', 'LADELoss', 'RemixLoss', 'SoftmaxEqualizationLoss'}
NAMES = sorted({name for name, *_ in CASES} | OTHERS)


def build(name, **options):
    loss = MODELS.build(dict(type=f'mmimbal.{name}', **options))
    loss.set_class_counts(COUNTS)
    return loss


@pytest.mark.parametrize(('name', 'expected', 'options'), CASES)
def test_value_is_the_formula(name, expected, options):
    logits, labels = batch()
    value = build(name, **options)(torch.tensor(logits), torch.tensor(labels))
    wanted = expected(logits, labels, **options).mean()
    assert value.item() == pytest.approx(wanted, rel=1e-5)


def test_sign_of_logit_adjustment():
    """At equal logits, a rare label costs more: it must outgrow its prior."""
    loss = build('LogitAdjustmentLoss')
    logits = torch.zeros(K, K, requires_grad=True)
    costs = loss.losses(logits, torch.arange(K), torch.tensor(COUNTS).double())
    assert costs.diff().min() > 0
    # What it learns needs no prior: with the posterior's logits less the prior it is
    # plain cross-entropy of the posterior.
    posterior = torch.randn(5, K)
    labels = torch.tensor([0, 1, 2, 3, 0])
    found = loss(posterior - torch.tensor(PRIOR).log().float(), labels)
    torch.testing.assert_close(found, F.cross_entropy(posterior, labels))


@pytest.mark.parametrize('name', NAMES)
def test_weights_and_average_as_in_mmpretrain(name):
    logits, labels = (torch.tensor(part) for part in batch())
    loss, weight = build(name), torch.rand(len(labels))
    torch.manual_seed(0)  # for the clouds of GCLLoss
    each = loss.losses(logits.float(), labels, loss.class_counts)
    torch.manual_seed(0)
    found = loss(logits, labels, weight, avg_factor=7)
    torch.testing.assert_close(found, (each * weight).sum() / 7)


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('size', [1.0, 1000.0])
def test_gradient_is_finite_and_lowers_the_loss(name, size):
    logits, labels = (torch.tensor(part) for part in batch())
    leaf = (size * logits).float().requires_grad_()
    loss = build(name)
    torch.manual_seed(0)
    before = loss(leaf, labels)
    before.backward()
    assert torch.isfinite(before) and torch.isfinite(leaf.grad).all()
    torch.manual_seed(0)
    assert loss(leaf - 0.1 * leaf.grad, labels) < before


@pytest.mark.parametrize('gamma', [0.0, 0.3, 0.5, 1.0, 2.0])
def test_focal_gradient_is_finite_where_nothing_is_wrong(gamma):
    """The loss of the second image rounds to 0."""
    logits = torch.zeros(3, K)
    logits[1, 0], logits[2, 1] = 18, 2
    logits.requires_grad_()
    labels = torch.tensor([0, 0, 1])
    loss = build('ClassBalancedLoss', gamma=gamma)(logits, labels)
    loss.backward()
    assert loss > 0 and logits.grad.isfinite().all()
    assert logits.grad[1].abs().max() < 1e-6
    assert (logits.grad[[0, 2]] != 0).all()


@pytest.mark.parametrize('name', NAMES)
def test_mixtures_of_classes_are_taken_or_refused(name):
    """One-hot labels are none: Mixup may be switched off in the course of a run."""
    logits, labels = map(torch.tensor, batch())
    shares = torch.nn.functional.one_hot(labels, K).float()
    loss, found = build(name), []
    for given in (labels, shares):
        torch.manual_seed(0)  # GCL draws noise
        found.append(loss(logits, given))
    torch.testing.assert_close(*found)
    mixed = 0.7 * shares + 0.3 * shares.flip(0)
    if loss.takes_mixtures:
        assert loss(logits, mixed).isfinite()
    else:
        with pytest.raises(ValueError, match='remove Mixup and CutMix'):
            loss(logits, mixed)


def test_balanced_classes_are_plain_cross_entropy():
    logits, labels = (torch.tensor(part).float() for part in batch())
    labels = labels.long()
    plain = F.cross_entropy(logits, labels)
    for name in ('LogitAdjustmentLoss', 'BalancedSoftmaxLoss', 'ClassBalancedLoss'):
        loss = build(name)
        loss.set_class_counts(np.full(K, 10))
        torch.testing.assert_close(loss(logits, labels), plain)


def test_ldam_reweights_from_its_epoch():
    logits, labels = batch()
    tensors = torch.tensor(logits), torch.tensor(labels)
    loss = build('LDAMLoss', scale=10.0, reweight_epoch=3, beta=0.9)
    plain = ldam(logits, labels, 0.5, 10.0)
    loss.set_max_epochs(4)
    loss.set_epoch(2)
    assert loss(*tensors).item() == pytest.approx(plain.mean(), rel=1e-5)
    loss.set_epoch(3)
    expected = np.average(plain, weights=effective(0.9)[labels])
    assert loss(*tensors).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize('name', ['ldam_drw', 'gcl'])
def test_margins_have_the_scale_of_the_head(name):
    head = Config.fromfile(CONFIGS / f'_base_/stage2/{name}.py').stage2_head
    assert MODELS.build(head.loss).scale == head.scale


def test_clouds_grow_towards_the_rarest_class():
    """Drawn by hand with the same random numbers."""
    logits, labels = batch()
    torch.manual_seed(0)
    drawn = (torch.randn(logits.shape) / 3).clamp(-1, 1).abs().numpy()
    size = np.log(COUNTS.max() / COUNTS) / np.log(COUNTS.max() / COUNTS.min())
    clouded = logits / 5 - 0.4 * drawn * size - 0.1 * np.eye(K)[labels]
    torch.manual_seed(0)
    loss = build('GCLLoss', noise=0.4, margin=0.1, scale=5.0)
    found = loss(torch.tensor(logits), torch.tensor(labels))
    assert found.item() == pytest.approx(
        cross_entropy(5 * clouded, labels).mean(), rel=1e-5
    )


@pytest.mark.parametrize(
    'name',
    # The first calibrates, the second needs mixed images.
    [name for name in NAMES if name not in ('LabelAwareSmoothingLoss', 'RemixLoss')],
)
def test_it_learns_what_cross_entropy_gets_wrong(name):
    """Two overlapping classes, 95 to 5: cross-entropy hardly ever says the rare one."""
    torch.manual_seed(0)
    counts = np.array([950, 50])
    labels = torch.tensor([0] * 950 + [1] * 50)
    points = torch.randn(1000, 2) + 1.2 * labels[:, None]

    def recall_of_the_rare(loss):
        torch.manual_seed(0)
        fc = nn.Linear(2, 2)
        optimizer = torch.optim.SGD(fc.parameters(), 0.5)
        for _ in range(300):
            optimizer.zero_grad()
            loss(fc(points), labels).backward()
            optimizer.step()
        return (fc(points).argmax(1) == labels)[labels == 1].float().mean()

    options = {
        'LDAMLoss': dict(scale=1.0, reweight_epoch=0),
        'GCLLoss': dict(scale=1.0, noise=4.0),
    }
    loss = MODELS.build(dict(type=f'mmimbal.{name}', **options.get(name, {})))
    loss.set_class_counts(counts)
    if name == 'LDAMLoss':
        give_epoch([loss], 0, 2)
    assert recall_of_the_rare(loss) > recall_of_the_rare(F.cross_entropy) + 0.1


def test_counts_come_from_the_training_set(tmp_path):
    cfg = tiny_digits('stage1_ce', tmp_path)
    cfg.model.head.loss = dict(type='mmimbal.BalancedSoftmaxLoss')
    runner = train(cfg)
    assert runner.model.head.loss_module.class_counts.tolist() == [
        104, 67, 44, 28, 18, 12, 8, 5, 3, 2
    ]  # fmt: skip
    assert not [key for key in runner.model.state_dict() if 'class_counts' in key]


@pytest.mark.parametrize(
    ('name', 'options', 'message'),
    [
        ('LogitAdjustmentLoss', dict(tau=-1), 'tau=-1 must not be negative'),
        ('VSLoss', dict(gamma=-1), 'gamma=-1 must not be negative'),
        ('ClassBalancedLoss', dict(beta=1), r'beta=1 must be in \[0, 1\)'),
        ('ClassImbalanceLoss', dict(alpha=-1), 'alpha=-1 must not be negative'),
        ('LDAMLoss', dict(scale=0), 'scale=0 must be positive'),
        ('GCLLoss', dict(noise=-1), 'noise=-1 and margin=0.0 must not'),
        ('LabelAwareSmoothingLoss', dict(head=1), r'head=1 and tail=0.0 must be in'),
        ('LabelAwareSmoothingLoss', dict(shape='cubic'), 'must be one of concave'),
    ],
)
def test_bad_options_are_named(name, options, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(dict(type=f'mmimbal.{name}', **options))


def test_missing_counts_and_epochs_say_what_to_add():
    scores, labels = torch.randn(2, K), torch.tensor([0, 1])
    with pytest.raises(RuntimeError, match='ClassCountsHook'):
        losses.BalancedSoftmaxLoss()(scores, labels)
    with pytest.raises(ValueError, match='4 class counts for 3 logits'):
        build('BalancedSoftmaxLoss')(scores[:, :3], labels)
    with pytest.raises(ValueError, match=r'there are none of \[2\]'):
        losses.BalancedSoftmaxLoss().set_class_counts(np.array([3, 1, 0]))
    with pytest.raises(RuntimeError, match='SetEpochHook'):
        build('LDAMLoss', reweight_epoch=1)(scores, labels)


@pytest.mark.parametrize('name', ['LogitAdjustmentLoss', 'VSLoss'])
def test_one_hot_labels_may_be_whole_numbers(name):
    """As ``to_onehot`` of a data preprocessor gives them."""
    logits, labels = map(torch.tensor, batch())
    loss = build(name)
    found = loss(logits, torch.nn.functional.one_hot(labels, K))
    torch.testing.assert_close(found, loss(logits, labels))


def test_smoothing_of_one_class_is_finite():
    loss = MODELS.build(dict(type='mmimbal.LabelAwareSmoothingLoss'))
    loss.set_class_counts(np.array([7]))
    assert loss(torch.randn(6, 1), torch.zeros(6).long()).isfinite()


def test_the_factor_of_the_class_imbalance_loss_has_no_gradient():
    counts, labels = np.array([90, 9, 1]), torch.arange(6) % 3
    loss = MODELS.build(dict(type='mmimbal.ClassImbalanceLoss', alpha=0.5))
    loss.set_class_counts(counts)
    logits = torch.randn(6, 3, requires_grad=True)
    loss(logits, labels).backward()
    weights = torch.tensor(counts**-0.5 / (counts**-0.5).mean()).float()
    shares, true = logits.detach().softmax(1), F.one_hot(labels, 3)
    factor = weights[labels] * (1 - (shares * true).sum(1))
    torch.testing.assert_close(logits.grad, factor[:, None] * (shares - true) / 6)


def reweighted(rank, world_size):
    """Return the loss of the images of a rank, in the reweighted phase of LDAM."""
    loss = MODELS.build(dict(type='mmimbal.LDAMLoss', reweight_epoch=0))
    loss.set_class_counts(np.array([500, 50, 5]))
    loss.set_max_epochs(2)
    loss.set_epoch(1)
    random = torch.Generator().manual_seed(0)
    logits = 30 * torch.rand(16, 3, generator=random)
    labels = torch.tensor([0] * 8 + [0, 1, 2, 2, 1, 0, 2, 2])
    own = slice(8 * rank, 8 * rank + 8) if world_size == 2 else slice(16)
    return loss(logits[own], labels[own])


def test_ranks_weight_images_as_one_process_does():
    alone = reweighted(0, 1)
    both = torch.stack(run_on_ranks(2, reweighted, 2))
    torch.testing.assert_close(both.mean(), alone)
    assert not both[0].isclose(both[1])
