"""From a checkpoint to predictions and a report, as a user does it."""

import json

import numpy as np
import pytest

from mmimbal.datasets import DigitsLT
from mmimbal.evaluation.metrics import summarise
from mmimbal.evaluation.predictions import load_predictions
from mmimbal.files.checkpoint import load_from_local
from tests.tools import OPTIONS, explain, succeed

LEAF = 'configs/digits_lt/stage1_ce.py'


@pytest.fixture(scope='module')
def stage1(tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('stage1')
    options = [*OPTIONS[:-1], 'train_cfg.max_epochs=2']
    succeed('tools/train.py', LEAF, '--work-dir', work_dir, '--cfg-options', *options)
    return work_dir


@pytest.fixture(scope='module')
def tested(stage1, tmp_path_factory):
    """Return the predictions and the metrics of one test."""
    folder = tmp_path_factory.mktemp('tested')
    files = [folder / 'one.npz', folder / 'metrics.json']
    flags = ['--embeddings', '--work-dir', folder, '--cfg-options', *OPTIONS]
    succeed('tools/test.py', LEAF, stage1, '--out', *files, *flags)
    return files


def test_predictions_are_those_the_metrics_are_of(tested, stage1):
    found, metrics = load_predictions(tested[0]), json.loads(tested[1].read_text())
    again = summarise(found.scores, found.labels, found.classes)
    assert {name: metrics[name] for name in again} == pytest.approx(again)
    dataset = DigitsLT('test')
    assert found.labels.tolist() == list(dataset.get_gt_labels())
    assert (
        found.class_counts.tolist()
        == np.bincount(DigitsLT('train').get_gt_labels()).tolist()
    )
    state = load_from_local(next(stage1.glob('best_*')))['state_dict']
    logits = found.embeddings @ state['head.fc.weight'].numpy().T
    logits += state['head.fc.bias'].numpy()
    scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert found.scores == pytest.approx(scores, abs=1e-5)
    assert "type='LinearClsHead'" in found.about['config']
    assert len(found.about['curves']['val balanced_accuracy']) == 2


def test_report(tested, tmp_path):
    other = load_predictions(tested[0])
    other.scores[:] = other.scores[:, ::-1]
    other.save(tmp_path / 'other' / 'test.npz')
    out = tmp_path / 'pages' / 'report.html'
    runs = [tested[0], tmp_path / 'other', f'third={tested[0]}']
    output = succeed('tools/report.py', *runs, '--out', out)
    assert f'Written: {out}' in output
    page = out.read_text()
    for name in ('one', 'other', 'third'):
        assert f'<th>{name}</th>' in page


def test_mistakes_of_a_report_are_explained(tested, tmp_path):
    message = explain('report', tmp_path / 'none.npz')
    assert message.startswith('report: no predictions at ')
    assert '--out FILE.npz' in message
    message = explain('report', tmp_path)
    assert f'expected one .npz file in {tmp_path}, found none' in message
    message = explain('report', tested[0], tested[0])
    assert 'two runs have the name one: give another one with NAME=' in message
    (tmp_path / 'cut.npz').write_bytes(tested[0].read_bytes()[:400])
    message = explain('report', tmp_path / 'cut.npz')
    assert 'not a complete file of predictions' in message


@pytest.mark.parametrize(
    'flags', [['--out', 'scores.txt'], ['--embeddings', '--out', 'metrics.json']]
)
def test_files_of_a_test_are_known_by_their_endings(flags, capsys):
    assert explain('test', LEAF, 'somewhere', *flags) == 2
    assert '.npz' in capsys.readouterr().err
