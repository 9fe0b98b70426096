"""Every benchmark runs, at a tiny size."""

import json
import runpy

import pytest

from tests.conftest import ROOT
from tests.tools import run_forked

FILES = sorted((ROOT / 'benchmarks').glob('[!_]*.py'))
KEYS = {'case', 'ours', 'peer', 'peer_name', 'unit', 'ratio', 'goal', 'size'}


@pytest.mark.parametrize('file', FILES, ids=lambda file: file.stem)
def test_every_case_of_a_benchmark_runs(file, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(file.parent)  # a script finds its neighbours
    cases = runpy.run_path(str(file))['CASES']
    result = run_forked(str(file), ['--tiny', '--results', str(tmp_path)])
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
