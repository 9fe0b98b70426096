from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from torch import nn

from mmimbal.datasets import DigitsLT, get_class_counts
from mmimbal.files.checkpoint import load_from_local
from mmimbal.registry import MODELS
from tests.conftest import tiny_digits, train


@MODELS.register_module()
class CountingLoss(nn.CrossEntropyLoss):
    """Remember the counts it is given."""

    counts = None

    def set_class_counts(self, counts):
        self.counts = counts

    def forward(self, scores, labels, avg_factor=None):
        assert self.counts is not None
        return super().forward(scores, labels)


EXPECTED = get_class_counts(DigitsLT('train')).tolist()


def test_counts_reach_losses_and_metrics(tmp_path):
    cfg = tiny_digits('stage1_ce', tmp_path)
    cfg.model.head.loss = dict(type='mmimbal.CountingLoss')
    runner = train(cfg)
    assert runner.model.head.loss_module.counts.tolist() == EXPECTED
    assert runner.val_evaluator.metrics[0].class_counts.tolist() == EXPECTED


def test_counts_reach_a_loss_that_was_switched_in(tmp_path):
    cfg = tiny_digits(
        'two_stage_triplet_crt', tmp_path, default_hooks__two_stage__epoch=1
    )
    cfg.default_hooks.two_stage.stage2.model.head.loss = dict(
        type='mmimbal.CountingLoss'
    )
    assert train(cfg).model.head.loss_module.counts.tolist() == EXPECTED


def test_counts_reach_a_loss_that_mmpretrain_s_hook_switches_in(tmp_path):
    """Before its first step: CountingLoss asserts that."""
    cfg = tiny_digits('stage1_ce', tmp_path)
    recipe = dict(action_epoch=1, loss=dict(type='mmimbal.CountingLoss'))
    cfg.custom_hooks = [dict(type='SwitchRecipeHook', schedule=[recipe])]
    assert train(cfg).model.head.loss_module.counts.tolist() == EXPECTED


def test_other_images_of_stage_2_are_counted_in_its_first_and_in_a_resumed_epoch(
    tmp_path,
):
    cfg = tiny_digits(
        'two_stage_triplet_crt', tmp_path, default_hooks__two_stage__epoch=1
    )
    stage2 = cfg.default_hooks.two_stage.stage2
    stage2.model.head.loss = dict(type='mmimbal.CountingLoss')
    stage2.train_dataloader.dataset = dict(ratio=5)
    runner = train(cfg)
    images = runner.train_dataloader.dataset
    samples = [images[index]['data_samples'] for index in range(len(images))]
    expected = torch.cat([sample.gt_label for sample in samples]).bincount()
    assert runner.model.head.loss_module.counts.tolist() == expected.tolist()
    meta = load_from_local(tmp_path / 'epoch_2.pth')['meta']
    assert meta['class_counts'] == expected.tolist()
    of_stage1 = load_from_local(tmp_path / 'epoch_1.pth')['meta']['class_counts']
    assert of_stage1 != expected.tolist()
    cfg.merge_from_dict({'resume': True, 'train_cfg.max_epochs': 3})
    resumed = train(cfg)
    assert resumed.model.head.loss_module.counts.tolist() == expected.tolist()


def test_test_run_reads_them_from_the_checkpoint(tmp_path):
    train(tiny_digits('stage1_ce', tmp_path))
    checkpoint = next(Path(tmp_path).glob('best_*.pth'))
    meta = load_from_local(checkpoint)['meta']
    assert meta['class_counts'] == EXPECTED
    runner = Runner.from_cfg(
        tiny_digits('stage1_ce', tmp_path, load_from=str(checkpoint))
    )
    metrics = runner.test()
    assert np.array_equal(runner.test_evaluator.metrics[0].class_counts, EXPECTED)
    assert {'head_recall', 'medium_recall', 'tail_recall'} <= metrics.keys()


def test_a_test_after_training_knows_them_too(tmp_path):
    runner = train(tiny_digits('stage1_ce', tmp_path))
    assert {'head_recall', 'tail_recall'} <= runner.test().keys()


@pytest.mark.parametrize('number', [7, 12])
def test_a_head_of_another_number_of_classes_is_told(tmp_path, number):
    cfg = tiny_digits('stage1_ce', tmp_path)
    cfg.model.head.num_classes = number
    with pytest.raises(ValueError, match=f'num_classes={number},.* has 10 classes: 0'):
        train(cfg)


def test_counts_of_another_dataset_do_not_reach_the_losses(tmp_path, monkeypatch):
    """Of a checkpoint that training starts from, but does not resume."""
    train(tiny_digits('stage1_ce', tmp_path / 'first'))
    path = tmp_path / 'first' / 'epoch_2.pth'
    checkpoint = load_from_local(path)
    checkpoint['meta']['class_counts'] = [7] * 10
    torch.save(checkpoint, path)
    given = []
    monkeypatch.setattr(
        CountingLoss, 'set_class_counts', lambda self, counts: given.append(counts)
    )
    monkeypatch.setattr(CountingLoss, 'counts', EXPECTED)
    cfg = tiny_digits('stage1_ce', tmp_path / 'second', load_from=str(path))
    cfg.model.head.loss = dict(type='mmimbal.CountingLoss')
    train(cfg)
    assert given and all(counts.tolist() == EXPECTED for counts in given)


def test_mixtures_of_another_number_of_classes_are_told(tmp_path):
    """MMPretrain's data preprocessor makes one-hot labels, if there are augments."""
    cfg = tiny_digits('stage1_ce', tmp_path, train_cfg__max_epochs=1)
    cfg.model.data_preprocessor.num_classes = 1000
    train(cfg)
    cfg.work_dir += '2'
    cfg.model.train_cfg = dict(augments=dict(type='Mixup', alpha=0.2))
    with pytest.raises(ValueError, match='data_preprocessor has num_classes=1000'):
        train(cfg)
