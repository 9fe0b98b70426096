import json

import pytest

from mmimbal.engine.test_run.curves import read_curves
from tests.conftest import tiny_digits, train


def test_curves_of_a_training(tmp_path):
    runner = train(tiny_digits('stage1_triplet', tmp_path))
    curves = read_curves(tmp_path)
    assert set(curves) == {
        'loss',
        'loss_cls',
        'loss_metric',
        'val balanced_accuracy',
        'val macro_f1',
    }
    assert list(curves['loss']) == list(curves['val macro_f1']) == [1, 2]
    last = runner.message_hub.get_scalar('val/macro_f1').current()
    assert curves['val macro_f1'][2] == pytest.approx(last)


def test_later_logs_win_and_losses_are_means(tmp_path):
    for name, rows in {
        'a': [dict(loss=3.0, epoch=1), dict(loss=1.0, epoch=1), dict(loss=9, epoch=2)],
        'b': [dict(loss=0.5, epoch=2), dict(balanced_accuracy=50.0, step=2)],
    }.items():
        (tmp_path / name / 'vis_data').mkdir(parents=True)
        lines = '\n'.join([*map(json.dumps, rows), '{"loss": 7.0, "epo'])  # cut
        (tmp_path / name / 'vis_data' / 'scalars.json').write_text(lines)
    assert read_curves(tmp_path) == {
        'loss': {1: 2.0, 2: 0.5},
        'val balanced_accuracy': {2: 50.0},
    }


def test_none_without_logs(tmp_path):
    assert read_curves(tmp_path) == {}
