"""Every benchmark runs, at a tiny size."""

import json
import runpy
import sys

import loading
import pytest
from mmengine.registry import init_default_scope
from mmpretrain.registry import DATASETS

from mmimbal.datasets import ViewsByLoss
from tests.conftest import ROOT
from tests.tools import run_forked

FILES = sorted((ROOT / 'benchmarks').glob('[!_]*.py'))
KEYS = {'case', 'ours', 'peer', 'peer_name', 'unit', 'ratio', 'goal', 'size'}


@pytest.mark.parametrize('file', FILES, ids=lambda file: file.stem)
def test_every_case_of_a_benchmark_runs(file, tmp_path):
    cases = runpy.run_path(str(file))['CASES']
    result = run_forked(str(file), '--tiny', '--results', str(tmp_path), cwd=ROOT)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    assert 'the numbers mean nothing' in result.stdout
    (written,) = tmp_path.glob('*/*.json')
    assert written.stem == file.stem
    found = json.loads(written.read_text())
    assert found['machine']['cores'] > 0 and found['description']
    rows = found['rows']
    assert [row['case'] for row in rows] == list(cases)
    for row in rows:
        assert set(row) == KEYS and row['size'] == 'tiny'
        assert row['ours'] > 0 and row['unit']
        assert row['ratio'] == (row['peer'] and row['peer'] / row['ours'])
        assert row['case'] in result.stdout


def test_rows_that_are_not_measured_again_are_kept(tmp_path, monkeypatch, capsys):
    comparison = runpy.run_path(str(FILES[0].parent / '_comparison.py'))

    def measure(names, value, *flags):
        case = comparison['Case'](lambda: (value, None, '', 's'), {}, {})
        argv = ['some.py', '--results', str(tmp_path), *flags]
        monkeypatch.setattr(sys, 'argv', argv)
        comparison['compare']('Some cases.', dict.fromkeys(names, case))
        (file,) = tmp_path.glob('*/some.json')
        rows = json.loads(file.read_text())['rows']
        return {row['case']: row['ours'] for row in rows}

    assert measure(['a', 'waiting', 'c'], 1) == dict(a=1, waiting=1, c=1)
    # Without its images, a machine has other cases.
    found = measure(['a', 'b', 'c'], 2, '--only', '[bc]')
    assert list(found.items()) == [('a', 1), ('b', 2), ('c', 2), ('waiting', 1)]
    assert 'waiting' in capsys.readouterr().out
    assert measure(['a', 'b'], 3) == dict(a=3, b=3)


def test_waiting_is_measured_with_randaugment():
    """For cross-entropy alone; it is built as the name of the row says."""
    init_default_scope('mmpretrain')
    cfg = loading.with_randaugment('digits_lt/digits/recommended')
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    (views,) = (t for t in dataset.pipeline.transforms if isinstance(t, ViewsByLoss))
    kinds = [type(step).__name__ for step in views.cross_entropy.transforms]
    assert kinds[-1] == 'RandAugment' and kinds.count('RandAugment') == 1
    assert 'RandAugment' not in str(views.metric)
