import copy

import pytest
import torch
from mmpretrain.structures import DataSample
from torch.nn import functional as F

from mmimbal.registry import MODELS
from tests.conftest import tiny_digits
from tests.conftest import train as run
from tests.distributed import run_on_ranks

K, D = 3, 5
LABELS = torch.tensor([0, 0, 1, 1, 0, 1])
SAMPLES = [DataSample().set_gt_label(int(label)) for label in LABELS]


def build(epoch=0):
    cfg = dict(type='mmimbal.CosineMeansClsHead', num_classes=K, in_channels=D)
    torch.manual_seed(0)
    head = MODELS.build(cfg)
    head.init_weights()
    head.set_epoch(epoch)
    return head


def train(head, batches):
    optimizer = torch.optim.SGD(head.parameters(), 0.5)
    for features in batches:
        optimizer.zero_grad()
        head.loss((features,), SAMPLES)['loss'].backward()
        optimizer.step()


def test_weights_are_the_means_of_the_first_epoch_and_then_learn():
    head, batches = build(), [torch.randn(6, D) for _ in range(3)]
    fresh = head.fc.weight.detach().clone()
    train(head, batches)
    everything = F.normalize(torch.cat(batches))
    labels = LABELS.repeat(3)
    means = [F.normalize(everything[labels == c].mean(0), dim=0) for c in range(2)]
    means.append(fresh[2])  # which had no image
    expected = 16 * F.normalize(batches[0]) @ F.normalize(torch.stack(means)).T
    torch.testing.assert_close(head((batches[0],)), expected)
    assert head.fc.weight.equal(fresh)
    head.set_epoch(1)
    torch.testing.assert_close(head.fc.weight.data, torch.stack(means))
    torch.testing.assert_close(head((batches[0],)), expected)
    train(head, batches)
    learned = head.fc.weight.detach().clone()
    assert not learned.allclose(torch.stack(means))
    head.set_epoch(2)
    assert head.fc.weight.equal(learned)


@pytest.mark.parametrize('epoch', [0, 1])
def test_a_resumed_run_goes_on_to_the_bit(epoch):
    """After the first epoch, and after the second."""
    head, batches = build(), [torch.randn(6, D) for _ in range(3)]
    train(head, batches[:1])
    if epoch:
        head.set_epoch(1)
        train(head, batches[1:])
    resumed = build(-1)
    resumed.load_state_dict(copy.deepcopy(head.state_dict()))
    for one in (head, resumed):
        one.set_epoch(epoch + 1)
        train(one, batches)
    assert resumed((batches[0],)).equal(head((batches[0],)))


def test_a_run_that_goes_on_inside_the_first_epoch_keeps_its_sums():
    """A loop over iterations resumes anywhere."""
    head, batches = build(), [torch.randn(6, D) for _ in range(2)]
    train(head, batches[:1])
    resumed = build(-1)
    resumed.load_state_dict(copy.deepcopy(head.state_dict()))
    resumed.set_epoch(0)
    for one in (head, resumed):
        train(one, batches[1:])
    assert resumed.sums.equal(head.sums)


def test_validation_adds_nothing():
    head = build().eval()
    head.loss((torch.randn(6, D),), SAMPLES)
    assert not head.sums.any()


def on_rank(rank, world_size):
    head = build()
    features = torch.randn(6, D)
    half = slice(3 * rank, 3 * rank + 3) if world_size == 2 else slice(6)
    head.loss((features[half],), SAMPLES[half])
    return head.sums


def test_two_ranks_have_the_means_of_one_process():
    alone = on_rank(0, 1)
    for sums in run_on_ranks(2, on_rank, 2):
        torch.testing.assert_close(sums, alone)


def test_what_is_missing_is_said():
    with pytest.raises(RuntimeError, match='CosineMeansClsHead needs the epoch'):
        build(-1).loss((torch.randn(6, D),), SAMPLES)
    mixed = [DataSample().set_gt_label(0).set_gt_score(torch.rand(K)) for _ in LABELS]
    with pytest.raises(ValueError, match='remove Mixup and CutMix'):
        build().loss((torch.randn(6, D),), mixed)
    assert build(1).loss((torch.randn(6, D),), mixed)['loss'].isfinite()


def test_a_new_training_begins_with_new_means():
    """Also with the weights of a finished one, from load_from."""
    head, batches = build(), [torch.randn(6, D) for _ in range(3)]
    train(head, batches[:1])
    head.set_epoch(1)
    learned = head.fc.weight.detach().clone()
    head.set_epoch(0)
    assert not head.sums.any()
    torch.testing.assert_close(head((batches[1],)), logits_of(batches[1], learned))


def test_a_new_training_from_the_first_epoch_of_another_has_new_means(tmp_path):
    cfg = tiny_digits('stage1_ce', tmp_path, train_cfg__max_epochs=1)
    head = dict(type='mmimbal.CosineMeansClsHead', num_classes=10)
    cfg.model.head = dict(head, in_channels=cfg.model.head.in_channels)
    first = run(cfg).model.head
    assert first.phase == 0 and first.sums.any()
    cfg.load_from, cfg.work_dir = str(tmp_path / 'epoch_1.pth'), str(tmp_path / 'next')
    cfg.experiment_name = 'next'  # runs of one second and name share what they know
    again = run(cfg).model.head
    norms = [head.sums.norm() for head in (first, again)]
    assert norms[1] < 1.5 * norms[0]  # not those of two epochs


def logits_of(features, weights):
    return 16 * F.normalize(features) @ F.normalize(weights).T
