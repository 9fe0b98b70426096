"""Losses with two phases have epochs for both."""

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmimbal.models.losses.phases import FirstPhase, epochs_of_phase
from mmimbal.models.needs import give_epoch
from mmimbal.registry import MODELS
from tests.conftest import CONFIGS


@pytest.mark.parametrize(
    ('value', 'epochs', 'expected'),
    [
        (3, 10, 3),
        (0, 10, 0),
        (0.25, 40, 10),
        (0.25, 10, 3),
        (0.8, 20, 16),
        (0.8, 10, 8),
        (0.7, 10, 7),  # 0.7 * 10 is above 7 in floating point
        (0.8, 1, 0),
    ],
)
def test_epochs_of_the_first_phase(value, epochs, expected):
    assert epochs_of_phase('x', value, epochs) == expected


@pytest.mark.parametrize('value', [10, 11])
def test_a_second_phase_without_epochs_is_an_error(value):
    with pytest.raises(ValueError, match=f'x={value} leaves no epoch .* are 10 epochs'):
        epochs_of_phase('x', value, 10)


@pytest.mark.parametrize('value', [-1, -0.5, 2.5, '16', None, True])
def test_what_is_no_number_of_epochs_is_refused(value):
    with pytest.raises(ValueError, match='must be a number of epochs'):
        FirstPhase('x', value)


@pytest.mark.parametrize('epochs', [2, 10, 40])
@pytest.mark.parametrize(
    'name', ['class_centre', 'class_centre_ranking', 'class_centre_quadruplet']
)
def test_both_phases_of_each_base_come(name, epochs):
    cfg = Config.fromfile(CONFIGS / f'_base_/stage1/{name}.py').head.metric_loss
    loss = MODELS.build(dict(cfg, num_classes=3, embedding_size=4))
    phases = []
    for epoch in range(epochs):
        give_epoch([loss], epoch, epochs)
        phases.append(loss.phase.is_now())
    assert phases == sorted(phases, reverse=True)
    assert phases[0] and not phases[-1]


@pytest.mark.parametrize(('epochs', 'without'), [(2, 1), (10, 8), (20, 16)])
def test_weights_come_in_each_schedule(epochs, without):
    cfg = Config.fromfile(CONFIGS / '_base_/stage2/ldam_drw.py').stage2_head.loss
    torch.manual_seed(0)
    logits, labels = torch.randn(6, 3), torch.tensor([0, 0, 0, 1, 1, 2])
    loss = MODELS.build(cfg)
    loss.set_class_counts(np.array([1000, 100, 10]))
    values = []
    for epoch in range(epochs):
        give_epoch([loss], epoch, epochs)
        values.append(float(loss(logits, labels)))
    first = [value for value in values if value == values[0]]
    assert values[-1] != values[0]
    assert len(first) == without
