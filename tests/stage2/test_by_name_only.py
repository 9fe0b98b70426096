"""Ways of stage 2 that are not among ``--methods all`` train on cached features."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.models.losses import LabelSmoothLoss

from mmimbal.command_line.compose import load_experiment
from mmimbal.command_line.experiment import words_of
from mmimbal.experiments.sweep_methods import load_methods
from mmimbal.stage2.config import stage2_config
from mmimbal.stage2.head_training import build_head, probabilities, train_head
from tests.conftest import CONFIGS

NAMES = [word for word in words_of('stage2') if word not in load_methods(['all'])]
COUNTS, D = (200, 40, 10), 8


class Labels:
    """Nothing but labels."""

    def __init__(self):
        self.labels = np.repeat(np.arange(3), COUNTS)
        self.metainfo = dict(classes=('a', 'b', 'c'))

    def __len__(self):
        return len(self.labels)

    def get_gt_labels(self):
        return self.labels


def features_of(labels, seed):
    """Return two views of features of overlapping classes, (2, N, D)."""
    random = np.random.default_rng(seed)
    centres = 1.5 * np.eye(3, D)[labels]
    return (centres + random.normal(size=(2, len(labels), D))).astype(np.float32)


def trained(base, first=None):
    stage1 = load_experiment('digits_lt/digits/ce')
    cfg = stage2_config(stage1, base, Path('epoch_1.pth'))
    cfg.model.head.update(num_classes=3, in_channels=D)
    head = build_head(cfg.model.head, 0, first or {}, (D,))
    dataset = Labels()
    train_head(head, cfg, dataset, features_of(dataset.labels, 0), 0)
    return cfg, head


def recalls(head):
    labels = np.repeat(np.arange(3), 400)
    scores = probabilities(head, features_of(labels, 1)[0])
    assert scores.shape == (1200, 3)
    found = scores.argmax(1) == labels
    return [found[labels == k].mean() for k in range(3)]


@pytest.fixture(scope='module')
def linear():
    """A linear classifier, trained with cross-entropy."""
    base = Config.fromfile(CONFIGS / '_base_/stage2/logit_adjustment.py')
    base.stage2_head = dict(type='LinearClsHead')
    return trained(base)[1]


@pytest.mark.parametrize('name', NAMES)
def test_it_finds_rare_classes_more_often_than_cross_entropy(name, linear):
    base = Config.fromfile(CONFIGS / f'_base_/stage2/{name}.py')
    cfg, head = trained(base, linear.state_dict())
    found, expected = recalls(head), recalls(linear)
    decay = dict(max_norm=5e-3, los=0.0).get(name, 5e-4)
    assert cfg.optim_wrapper.optimizer.weight_decay == decay
    assert found[2] > expected[2] + 0.05
    # With few classes, TDE may take more from the common class than rare ones gain.
    if name != 'causal':
        assert np.mean(found) > np.mean(expected) + 0.02


def test_label_over_smoothing_gives_little_more_than_an_equal_share():
    loss, logits = LabelSmoothLoss(label_smooth_val=0.98), torch.randn(4, 5)
    labels = torch.tensor([0, 1, 2, 4])
    targets = torch.full((4, 5), 0.98 / 5)
    targets[range(4), labels] = 1 - 0.98 + 0.98 / 5
    expected = -(targets * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(loss(logits, labels), expected)


def test_all_are_the_ways_that_the_studies_compare():
    assert len(load_methods(['all'])) == 17
    assert set(NAMES) == {'causal', 'cosine_means', 'experts', 'los', 'max_norm'}
    assert list(load_methods(['los', 'crt'])) == ['los', 'crt']
