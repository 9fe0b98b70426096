import re
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmpretrain.structures import DataSample

from mmimbal.engine.hooks import MetricMonitorHook
from tests.conftest import log_of, tiny_digits, train


class CollapseHook(Hook):
    """Make all features point the same way, or NaN, from the second epoch on."""

    def __init__(self, value):
        self.value = value

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.epoch == 1:
            neck = runner.model.neck
            neck.forward = lambda features: (
                0 * features[-1].mean((2, 3)) + self.value,
            )


def monitored(tmp_path, **monitor):
    cfg = tiny_digits('stage1_triplet', tmp_path, log_level='INFO')
    cfg.default_hooks.metric_monitor.update(monitor)
    return cfg


def test_collapse_is_told_once_in_an_epoch(tmp_path):
    log = log_of(train(monitored(tmp_path), CollapseHook(1.0)))
    told = re.findall('Embeddings have collapsed: (.*) The metric', log)
    assert told == ['spread 0.000 is below 0.05 in epoch 2.']


def test_collapse_stops_the_run_where_asked(tmp_path):
    with pytest.raises(RuntimeError, match=r'have collapsed: spread 0\.000'):
        train(monitored(tmp_path, stop=True), CollapseHook(1.0))


def test_the_threshold_is_that_of_the_config(tmp_path):
    cfg = tiny_digits('stage1_triplet', tmp_path, log_level='INFO')
    cfg.default_hooks.metric_monitor.min_spread = 1.0
    told = re.findall(r'is below 1\.0 in epoch (\d)', log_of(train(cfg)))
    assert told == ['1', '2']


def test_a_healthy_run_is_not_warned(tmp_path):
    cfg = tiny_digits('stage1_triplet', tmp_path, log_level='INFO')
    assert 'collapsed' not in log_of(train(cfg))


def test_nan_stops_with_the_files_of_the_batch(tmp_path, folder):
    cfg = monitored(tmp_path)
    classes = ('a', 'b', 'c')
    pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
    images = dict(
        type='mmimbal.CSVDataset',
        data_root=str(folder),
        metainfo=dict(classes=classes),
        pipeline=pipeline,
    )
    cfg.model.head.num_classes = 3
    cfg.train_dataloader.batch_size = 5
    cfg.train_dataloader.dataset = dict(images, split='train')
    cfg.val_dataloader.dataset = dict(images, split='val')
    cfg.test_dataloader.dataset = dict(images, split='test')
    with pytest.raises(FloatingPointError) as error:
        train(cfg, CollapseHook(float('nan')))
    message = str(error.value)
    assert 'loss_metric is nan' in message and 'epoch 2, iteration 1' in message
    files = re.findall(r'train_[abc]_\d\.png', message)
    assert len(files) == len(set(files)) == 5


def test_distances_are_those_of_the_embeddings_of_the_epoch(tmp_path, monkeypatch):
    cfg = tiny_digits(
        'stage1_triplet', tmp_path, log_level='INFO', train_cfg__max_epochs=1
    )
    seen, collect = [], MetricMonitorHook._collect

    def spy(self, metric_loss, inputs):
        seen.append([part.detach().clone() for part in inputs[:2]])
        collect(self, metric_loss, inputs)

    monkeypatch.setattr(MetricMonitorHook, '_collect', spy)
    line = re.search('Distances in epoch 1 .*', log_of(train(cfg)))[0]
    told = re.findall(r'(\d): (\d\.\d\d)/(\d\.\d\d)', line)
    embeddings = torch.cat([e for e, _ in seen])
    embeddings = embeddings / embeddings.norm(dim=1, keepdim=True)
    labels = torch.cat([labels for _, labels in seen])
    means = [embeddings[labels == k].mean(0) for k in range(10)]
    assert [int(name) for name, *_ in told] == list(range(10))
    for k, (_, own, other) in enumerate(told):
        spread = (embeddings[labels == k] - means[k]).square().sum(1).mean().sqrt()
        nearest = min((means[k] - means[j]).norm() for j in range(10) if j != k)
        assert float(own) == pytest.approx(spread.item(), abs=6e-3)
        assert float(other) == pytest.approx(nearest.item(), abs=6e-3)


def test_bad_options_are_named():
    with pytest.raises(ValueError, match=r'min_spread=2 must be in \[0, 1\]'):
        MetricMonitorHook(min_spread=2)


def test_epochs_of_a_loop_that_counts_iterations_are_passes(tmp_path):
    cfg = tiny_digits('stage1_triplet', tmp_path, log_level='INFO')
    cfg.default_hooks.metric_monitor.min_spread = 1.0
    cfg.default_hooks.checkpoint.by_epoch = False
    cfg.train_cfg = dict(by_epoch=False, max_iters=12, val_interval=12)
    cfg.param_scheduler = None
    log = log_of(train(cfg))  # 5 batches in a pass
    assert re.findall(r'is below 1\.0 in epoch (\d)', log) == ['1', '2', '3']
    assert re.findall(r'Distances in epoch (\d)', log) == ['1', '2', '3']


def test_without_a_hook_that_reads_the_losses(tmp_path):
    cfg = tiny_digits('stage1_triplet', tmp_path)
    cfg.default_hooks.runtime_info = None
    assert train(cfg).epoch == 2


def test_one_image_is_no_collapse():
    """The last batch may have one image, whose spread is always 0."""
    hook = MetricMonitorHook(stop=True)
    hook.epoch, hook.has_warned = 0, False
    runner = SimpleNamespace(message_hub=SimpleNamespace(log_scalars={}))
    outputs = dict(loss=torch.tensor(1.0), embedding_spread=torch.tensor(0.0))
    hook.after_train_iter(runner, 0, dict(data_samples=[DataSample()]), outputs)
    with pytest.raises(RuntimeError, match='collapsed'):
        hook.after_train_iter(runner, 0, dict(data_samples=[DataSample()] * 2), outputs)


def test_nothing_watches_the_loss_after_training(tmp_path):
    runner = train(tiny_digits('stage1_triplet', tmp_path))
    assert not runner.model.head.metric_loss._forward_pre_hooks
