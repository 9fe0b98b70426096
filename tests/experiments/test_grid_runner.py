import json

import pytest
import torch
from mmengine.config import Config

from mmimbal.experiments.grid import load_grid
from mmimbal.experiments.grid_runner import GridRunner, worker_environments
from mmimbal.files.json_file import write_json
from tests.conftest import CONFIGS, ROOT

GRID = """
datasets = dict(digits=dict())
seeds = [0]
judged_on = {judged_on!r}
methods = dict(ce=dict(config='digits_lt/stage1_ce.py', options={options}))
"""


@pytest.fixture
def bench(tmp_path):
    def bench(judged_on='test', options=None):
        (tmp_path / 'grid.py').write_text(
            GRID.format(judged_on=judged_on, options=options or {})
        )
        grid = load_grid(tmp_path / 'grid.py', ROOT)
        return GridRunner(grid, ROOT, tmp_path / 'work', tmp_path / 'results')

    return bench


def test_a_result_without_test_is_none_where_test_is_wanted(bench):
    """Of a head that diverged there is nothing to wait for."""
    validated = bench('val')
    (one,) = validated.grid.experiments
    rows = [dict(stage2='', val=dict(a=1.0)), dict(stage2='crt', val=None, test=None)]
    assert not validated.is_done(one)
    write_json(dict(settings=one.settings, rows=rows), validated.file(one))
    assert validated.is_done(one) and not bench('test').is_done(one)
    rows[0]['test'] = dict(a=1.0)
    write_json(dict(settings=one.settings, rows=rows), validated.file(one))
    assert bench('test').is_done(one)


def test_a_grid_that_is_refused_has_not_described_itself(bench, tmp_path):
    first = bench()
    (one,) = first.grid.experiments
    first.describe()
    write_json(dict(settings=one.settings, rows=[]), first.file(one))
    changed = bench(options={'x': 1}, judged_on='val')
    with pytest.raises(ValueError, match=r'options.x was not there, is 1'):
        changed.is_done(*changed.grid.experiments)
    about = json.loads((tmp_path / 'results' / 'grid.json').read_text())
    assert about['judged_on'] == 'test' and about['experiments'] == [one.name]


def test_the_share_done_is_of_the_epochs_of_the_training_itself(bench):
    bench = bench()
    (one,) = bench.grid.experiments
    folder = bench.work_dir / one.name / 'train'
    assert bench.share_done(one) == 0
    folder.mkdir(parents=True)
    cfg = Config.fromfile(CONFIGS / 'isic/one_stage_balanced_softmax_64px.py')
    assert cfg.stage2_train_cfg.max_epochs < cfg.train_cfg.max_epochs == 40
    cfg.dump(folder / 'config.py')
    (folder / 'last_checkpoint').write_text('work/epoch_30.pth')
    assert bench.share_done(one) == 30 / 40


@pytest.mark.parametrize(
    ('visible', 'expected'), [(None, ['0', '1', '0']), ('5,GPU-a', ['5', 'GPU-a', '5'])]
)
def test_workers_share_the_gpus_that_are_visible(monkeypatch, visible, expected):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    if visible:
        monkeypatch.setenv('CUDA_VISIBLE_DEVICES', visible)
    found = [each['CUDA_VISIBLE_DEVICES'] for each in worker_environments(3)]
    assert found == expected
