import copy

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from mmpretrain.models import LinearClsHead
from mmpretrain.registry import MODELS

from mmimbal.stage2.batches_and_schedule import build_schedule
from mmimbal.stage2.feature_cache import open_cache
from mmimbal.stage2.head_training import (
    build_head,
    probabilities,
    train_head,
)
from tests.conftest import tiny_digits, train

CLASSES = ('a', 'b', 'c')


class Labels:
    """Nothing but labels."""

    def __init__(self, labels):
        self.labels = np.asarray(labels)
        self.metainfo = dict(classes=CLASSES)

    def __len__(self):
        return len(self.labels)

    def get_gt_labels(self):
        return self.labels


class KeepFreshHead(Hook):
    """Keep the weights that a run begins with."""

    def before_train_epoch(self, runner):
        if runner.epoch == 0:
            self.state = copy.deepcopy(runner.model.head.state_dict())


FREEZE_BIAS = dict(custom_keys={'head.fc.bias': dict(lr_mult=0.0)})


# The number of batches is odd: the last one makes a step of its own.
TWO_STEPS = dict(optim_wrapper=dict(accumulative_counts=2))


@pytest.mark.parametrize(
    ('loss', 'changes'),
    [
        (None, dict(optim_wrapper=dict(paramwise_cfg=FREEZE_BIAS))),
        (None, TWO_STEPS),
        (dict(type='mmimbal.LDAMLoss'), {}),
    ],
)
def test_it_equals_the_loop_of_a_runner(loss, changes, tmp_path):
    train(tiny_digits('stage1_ce', tmp_path / 'stage1'))
    cfg = tiny_digits('stage2_crt', tmp_path / 'stage2')
    cfg.default_hooks.two_stage.stage1 = str(tmp_path / 'stage1')
    cfg.train_cfg = dict(type='mmimbal.CachedFeaturesTrainLoop', max_epochs=3, views=2)
    if loss:
        cfg.model.head.loss = dict(loss, reweight_epoch=2)
    cfg.merge_from_dict(changes)
    hook = KeepFreshHead()
    runner = Runner.from_cfg(cfg)
    runner.register_hook(hook)
    runner.train()
    shapes = {open_cache(folder).shape: folder for folder in _caches(tmp_path)}
    features = open_cache(shapes[2, 291, 32])
    head = MODELS.build(cfg.model.head)
    head.load_state_dict(hook.state)
    train_head(head, cfg, runner.train_dataloader.dataset, features, runner.seed)
    expected = runner.model.head.state_dict()
    assert not head.fc.weight.allclose(hook.state['fc.weight'])
    for key, value in head.state_dict().items():
        torch.testing.assert_close(value, expected[key])


def _caches(folder):
    return [path.parent for path in folder.rglob('features.bin')]


def test_a_seed_gives_a_head():
    cfg = dict(type='LinearClsHead', num_classes=3, in_channels=4)
    heads = [build_head(dict(cfg), seed, {}, (4,)) for seed in (0, 0, 1)]
    first, again, other = (head.fc.weight for head in heads)
    assert first.equal(again) and not first.equal(other)


@pytest.mark.parametrize(
    'kind', ['LinearClsHead', 'mmimbal.NearestMeanClsHead', 'mmimbal.KNNClsHead']
)
def test_a_head_of_another_size(kind):
    cfg = dict(type=kind, num_classes=3, in_channels=8)
    with pytest.raises(ValueError, match=r'in_channels=8, but .* size 4'):
        build_head(cfg, 0, {}, (4,))


def test_features_that_are_no_vectors():
    cfg = dict(type='LinearClsHead', num_classes=3, in_channels=8)
    with pytest.raises(ValueError, match=r'give 8 x 2 x 2: add a neck'):
        build_head(cfg, 0, {}, (8, 2, 2))


@pytest.mark.parametrize(
    'schedule',
    [
        dict(type='CosineAnnealingLR', convert_to_iter_based=True),
        dict(type='PolyLR', eta_min=1e-4),
        dict(type='LinearLR', by_epoch=False, start_factor=0.1),
    ],
)
def test_schedules_end_where_those_of_a_runner_do(schedule, tmp_path):
    train(tiny_digits('stage1_ce', tmp_path / 'stage1'))
    cfg = tiny_digits('stage2_crt', tmp_path / 'stage2')
    cfg.default_hooks.two_stage.stage1 = str(tmp_path / 'stage1')
    cfg.param_scheduler = schedule
    runner = train(cfg)
    head = LinearClsHead(3, 4)
    optim_wrapper = build_optim_wrapper(head, cfg.optim_wrapper)
    batches = len(runner.train_dataloader)
    for step in build_schedule(schedule, optim_wrapper, 2, batches):
        steps = 2 if step.by_epoch else 2 * batches
        for _ in range(steps):
            step.step()
    assert optim_wrapper.get_lr() == runner.optim_wrapper.get_lr()


def test_probabilities_of_more_images_than_go_at_once():
    features = np.random.default_rng(0).normal(size=(2500, 4)).astype('f4')
    head = LinearClsHead(3, 4)
    expected = torch.softmax(
        torch.from_numpy(features) @ head.fc.weight.T + head.fc.bias, 1
    )
    found = probabilities(head, features)
    assert found == pytest.approx(expected.detach().numpy(), abs=1e-6)


def test_a_head_that_diverged_has_none():
    head = LinearClsHead(3, 4)
    head.fc.weight.data[0, 0] = float('nan')
    with pytest.raises(FloatingPointError, match='diverged'):
        probabilities(head, np.ones((2, 4), 'f4'))
