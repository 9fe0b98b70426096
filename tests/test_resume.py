"""A run that was stopped and resumed is the run without a break, to the bit."""

import pytest

from tests.conftest import tiny_digits, train

MEMORY = dict(type='mmimbal.ClassBalancedMemory', slots=3)
LOSSES = {
    'centres': dict(type='mmimbal.ClassCentreTripletLoss', balanced_epochs=1),
    'memory': dict(MEMORY, loss=dict(type='mmimbal.ContrastiveLoss')),
    'memory of triplets': dict(MEMORY, loss=dict(type='mmimbal.BatchAllTripletLoss')),
    'histogram': dict(type='mmimbal.DynamicSoftMarginLoss'),
}


def config(work_dir, metric_loss, **options):
    cfg = tiny_digits('stage1_triplet', work_dir, train_cfg__max_epochs=4, **options)
    cfg.model.head.metric_loss = metric_loss
    cfg.model.head.warmup_epochs = 2
    cfg.train_dataloader.dataset.pipeline = [dict(type='PackInputs')]  # nothing random
    return cfg


@pytest.mark.parametrize('name', LOSSES)
def test_resumed_equals_straight(name, tmp_path):
    straight = train(config(tmp_path / 'a', LOSSES[name]))
    stopped = str(tmp_path / 'a' / 'epoch_2.pth')
    resumed = train(
        config(tmp_path / 'b', LOSSES[name], resume=True, load_from=stopped)
    )
    expected = straight.model.state_dict()
    found = resumed.model.state_dict()
    assert found.keys() == expected.keys()
    assert [key for key in found if not found[key].equal(expected[key])] == []
    assert any(key.startswith('head.metric_loss') for key in found)
