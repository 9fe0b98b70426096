import re

import pytest
import torch
from mmengine.dataset import DefaultSampler
from torch import nn
from torch.utils.data import DataLoader

from mmimbal.datasets import ClassBalancedSampler, DigitsLT, PKBatchSampler
from mmimbal.engine.hooks.drawn_classes_hook import balances, find_prior_based_loss
from mmimbal.files.checkpoint import load_from_local
from mmimbal.registry import MODELS
from tests.conftest import log_of, tiny_digits, train


def config(work_dir, sampler, loss):
    cfg = tiny_digits('stage1_ce', work_dir, log_level='INFO')
    cfg.train_dataloader.sampler = sampler
    cfg.model.head.loss = loss
    return cfg


BALANCED = dict(type='mmimbal.ClassBalancedSampler', length=200)
WEIGHTED = dict(type='CrossEntropyLoss', class_weight=[1.0] * 10)


def test_histogram_is_logged_each_epoch(tmp_path):
    log = log_of(train(config(tmp_path, BALANCED, dict(type='CrossEntropyLoss'))))
    expected = ', '.join(f'{label}: 20 (10.0%)' for label in range(10))
    assert f'Drawn in epoch 1: {expected}' in log
    assert f'Drawn in epoch 2: {expected}' in log
    assert 'rebalance twice' not in log


def test_smoothing_by_class_counts_does_not_rebalance():
    loss = MODELS.build(dict(type='mmimbal.LabelAwareSmoothingLoss'))
    assert find_prior_based_loss(loss) is None
    loss = MODELS.build(dict(type='mmimbal.BalancedSoftmaxLoss'))
    assert find_prior_based_loss(loss) == 'BalancedSoftmaxLoss'


def test_batches_of_p_x_k_in_a_runner(tmp_path):
    """mmengine builds the batch sampler, and sets the epoch of the one inside."""
    cfg = tiny_digits('stage1_triplet', tmp_path, log_level='INFO')
    cfg.train_dataloader.batch_sampler = dict(
        type='mmimbal.PKBatchSampler', k=4, p=10, natural_size=24
    )
    cfg.model.head.natural_size = 24
    runner = train(cfg)
    # 291 natural images in 13 batches of 24, the last one wrapped. The other
    # 13 x 10 x 4 are for the metric loss alone.
    drawn = [int(count) for count in _drawn_in_epoch_2(log_of(runner))]
    assert sum(drawn) == 13 * 24
    natural = [104, 67, 44, 28, 18, 12, 8, 5, 3, 2]
    wrapped = [count - n for count, n in zip(drawn, natural, strict=True)]
    assert sum(wrapped) == 13 * 24 - 291 and min(wrapped) >= 0
    assert runner.train_dataloader.batch_sampler.sampler.epoch == 1


def _drawn_in_epoch_2(log):
    line = next(line for line in log.splitlines() if 'Drawn in epoch 2' in line)
    return re.findall(r'\d: (\d+) \(', line)


def test_natural_histogram(tmp_path):
    log = log_of(train(tiny_digits('stage1_triplet', tmp_path, log_level='INFO')))
    assert 'Drawn in epoch 1: 0: 104 (35.7%), 1: 67 (23.0%)' in log
    assert 'rebalance twice' not in log


def test_balancing_twice_is_warned_of_once(tmp_path):
    log = log_of(train(config(tmp_path, BALANCED, WEIGHTED)))
    assert log.count('CrossEntropyLoss uses the class counts') == 1


@pytest.mark.parametrize(
    ('make', 'expected'),
    [
        (lambda s: dict(sampler=DefaultSampler(s)), False),
        (lambda s: dict(sampler=ClassBalancedSampler(s, power=1)), False),
        (lambda s: dict(sampler=ClassBalancedSampler(s, power=0.5)), True),
        (lambda s: dict(batch_sampler=PKBatchSampler(DefaultSampler(s), 16, 4)), True),
        (
            lambda s: dict(
                batch_sampler=PKBatchSampler(DefaultSampler(s), 16, 4, natural_size=8)
            ),
            False,
        ),
        (
            lambda s: dict(
                batch_sampler=PKBatchSampler(
                    ClassBalancedSampler(s), 16, 4, natural_size=8
                )
            ),
            True,
        ),
    ],
)
def test_which_loaders_balance(make, expected):
    dataset = DigitsLT('train')
    loader, head = DataLoader(dataset, **make(dataset)), nn.Module()
    in_parts = getattr(loader.batch_sampler, 'natural_size', 0)
    assert balances(loader, head) is (expected or in_parts > 0)
    head.natural_size = 8
    assert balances(loader, head) is expected


def test_which_losses_know_the_counts():
    loss = nn.CrossEntropyLoss()
    assert find_prior_based_loss(nn.Sequential(loss)) is None
    loss.set_class_counts = print
    assert find_prior_based_loss(nn.Sequential(loss)) == 'CrossEntropyLoss'
    weighted = nn.Module()
    weighted.class_weight = torch.ones(3)
    assert find_prior_based_loss(nn.Sequential(weighted)) == 'Module'


@pytest.mark.parametrize('loss', ['mmimbal.LogitAdjustmentLoss', 'CrossEntropyLoss'])
def test_a_checkpoint_names_the_loss_that_rebalances(loss, tmp_path):
    cfg = tiny_digits('stage1_ce', tmp_path, train_cfg__max_epochs=1)
    cfg.model.head.loss = dict(type=loss)
    train(cfg)
    meta = load_from_local(tmp_path / 'epoch_1.pth')['meta']
    expected = 'LogitAdjustmentLoss' if 'mmimbal' in loss else None
    assert meta['rebalanced_by'] == expected


@pytest.mark.parametrize(
    ('kind', 'loss', 'weight', 'of_sampler', 'of_classifier'),
    [
        ('MetricLearningClsHead', 'ProCoLoss', 1.0, 'ProCoLoss', None),
        (
            'ParametricContrastiveClsHead',
            'ParametricContrastiveLoss',
            1.0,
            'ParametricContrastiveLoss',
            'ParametricContrastiveLoss',
        ),
        (
            'ParametricContrastiveClsHead',
            'ParametricContrastiveLoss',
            0.0,
            None,
            None,
        ),
    ],
)
def test_a_metric_loss_rebalances_the_classifier_if_it_sees_its_logits(
    kind, loss, weight, of_sampler, of_classifier
):
    """With plain cross-entropy: stage 2 may adjust the classifier of ProCo."""
    model = nn.Module()
    model.head = MODELS.build(
        dict(
            type=f'mmimbal.{kind}',
            num_classes=3,
            in_channels=8,
            embedding_size=4,
            metric_loss=dict(type=f'mmimbal.{loss}'),
            metric_weight=weight,
        )
    )
    assert find_prior_based_loss(model) == of_sampler
    assert find_prior_based_loss(model, of_classifier=True) == of_classifier
