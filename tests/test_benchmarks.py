"""Every benchmark runs, at a tiny size."""

import json
import runpy
import sys

import loading
import pytest
import samplers
import torch
import triplet
from mmengine.registry import init_default_scope
from mmpretrain.registry import DATASETS

from mmimbal.datasets import ViewsByLoss
from tests.conftest import ROOT
from tests.tools import run_forked

FILES = sorted((ROOT / 'benchmarks').glob('[!_]*.py'))
KEYS = {
    'case',
    'ours',
    'peer',
    'peer_name',
    'unit',
    'ratio',
    'goal',
    'size',
    'images',
    'date',
}
COMPARISON = runpy.run_path(str(ROOT / 'benchmarks' / '_comparison.py'))


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
        quotient = row['peer'] and row['peer'] / row['ours']
        has_ratio = cases[row['case']].has_ratio
        assert row['ratio'] == (quotient if has_ratio else None)
        assert row['images'] is None  # those of tiny runs are noise or digits
        assert row['case'] in result.stdout


def run(monkeypatch, tmp_path, cases, *flags):
    """Run a benchmark; return what it has written."""
    argv = ['some.py', '--results', str(tmp_path), *flags]
    monkeypatch.setattr(sys, 'argv', argv)
    COMPARISON['compare']('Some cases.', cases)
    files = list(tmp_path.glob('*/some.json'))
    return {row['case']: row for row in json.loads(files[0].read_text())['rows']}


def case_of(value, **kwargs):
    return COMPARISON['Case'](lambda: (value, None, '', 's'), {}, {}, **kwargs)


def test_rows_that_are_not_measured_again_are_kept(tmp_path, monkeypatch, capsys):
    def measure(names, value, *flags):
        cases = dict.fromkeys(names, case_of(value))
        rows = run(monkeypatch, tmp_path, cases, *flags)
        return {name: row['ours'] for name, row in rows.items()}

    assert measure(['a', 'c'], 1) == dict(a=1, c=1)
    found = measure(['a', 'b', 'c'], 2, '--only', '[bc]')
    assert list(found.items()) == [('a', 1), ('b', 2), ('c', 2)]
    assert measure(['b', 'c'], 3, '--only', 'c') == dict(b=2, c=3)  # a is no case now
    assert measure(['a', 'b'], 3) == dict(a=3, b=3)


def test_what_cannot_be_measured_is_said(tmp_path, monkeypatch, capsys):
    cases = dict(
        a=case_of(1), b=case_of(2, needs=tmp_path / 'none'), c=case_of(3, goal=1)
    )
    everything = dict.fromkeys(cases, case_of(7))
    assert set(run(monkeypatch, tmp_path, everything)) == {'a', 'b', 'c'}
    rows = run(monkeypatch, tmp_path, cases)
    assert {name: row['ours'] for name, row in rows.items()} == dict(a=1, b=7, c=3)
    text = f'Not measured: b needs images in {tmp_path / "none"}'
    assert text in capsys.readouterr().out
    for flags, message in (
        (['--only', 'd*'], 'no case matches d*. They are:\na\nb\nc'),
        (['--tiny'], '--tiny does not replace measured rows'),
    ):
        with pytest.raises(SystemExit):
            run(monkeypatch, tmp_path, cases, *flags)
        assert message in capsys.readouterr().err


def test_rows_say_their_images(tmp_path, folder, monkeypatch):
    row = run(monkeypatch, tmp_path, dict(a=case_of(1, needs=folder)))['a']
    text = 'The data set set has 12 training images, usually of 16 x 16 pixels'
    assert row['images'] == text


def test_both_triplet_losses_are_the_same():
    torch.manual_seed(0)
    embeddings, labels = torch.randn(40, 8), torch.arange(40) % 4
    ours, peer = (loss(embeddings, labels) for loss in triplet.losses())
    assert ours > 0
    torch.testing.assert_close(ours, peer)


def test_no_epoch_of_a_sampler_is_measured_twice():
    size = 100
    sampler = samplers.ClassBalancedSampler(samplers.Labels(size), seed=0)
    epochs = []
    sampler.set_epoch = epochs.append
    go = samplers.going_through(sampler)
    for _ in range(3):
        go()
    assert len(set(epochs)) == 3


def test_waiting_is_measured_with_randaugment():
    """For cross-entropy alone; it is built as the name of the row says."""
    init_default_scope('mmpretrain')
    cfg = loading.with_randaugment('digits_lt/digits/recommended')
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    (views,) = (t for t in dataset.pipeline.transforms if isinstance(t, ViewsByLoss))
    kinds = [type(step).__name__ for step in views.cross_entropy.transforms]
    assert kinds[-1] == 'RandAugment' and kinds.count('RandAugment') == 1
    assert 'RandAugment' not in str(views.metric)
