import json
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from mmimbal.evaluation.predictions import Predictions
from mmimbal.experiments.grid import load_grid
from mmimbal.experiments.grid_runner import GridFolders
from mmimbal.files.json_file import write_json
from mmimbal.files.lock import locked, locked_work_dir
from mmimbal.stage2.sweep_result import SweepResult, SweepRow, predictions_file

GRID = """
profile = 'digits'
datasets = dict(digits_lt=dict())
seeds = [0]
judged_on = {judged_on!r}
methods = dict(ce=dict(stage1='ce', options={options}))
"""


@pytest.fixture
def grid_job(tmp_path):
    """Return a function that gives a grid, its folders and the only job of it."""
    folders = GridFolders(Path('tools'), tmp_path / 'work', tmp_path / 'results')

    def grid_job(judged_on='test', options=None):
        (tmp_path / 'grid.py').write_text(
            GRID.format(judged_on=judged_on, options=options or {})
        )
        grid = load_grid(tmp_path / 'grid.py')
        (job,) = folders.jobs(grid, grid.runs)
        return grid, folders, job

    return grid_job


def test_a_result_without_test_is_none_where_test_is_wanted(grid_job):
    """A head that diverged has nothing to wait for."""
    *_, job = grid_job('val')
    settings = job.run.settings
    rows = [dict(stage2='', val=dict(a=1.0)), dict(stage2='crt', val=None, test=None)]
    assert not job.is_done()
    write_json(dict(settings=settings, rows=rows), job.result)
    assert job.is_done() and not grid_job('test')[-1].is_done()
    rows[0]['test'] = dict(a=1.0)
    write_json(dict(settings=settings, rows=rows), job.result)
    assert grid_job('test')[-1].is_done()
    rows[0]['test'] = None  # it diverged on test images: this will not change
    write_json(dict(settings=settings, rows=rows), job.result)
    assert grid_job('test')[-1].is_done()


def test_a_result_of_other_settings_is_refused(grid_job):
    grid, folders, job = grid_job()
    folders.describe(grid)
    write_json(dict(settings=job.run.settings, rows=[]), job.result)
    *_, changed = grid_job(options={'x': 1}, judged_on='val')
    with pytest.raises(ValueError, match=r'options.x was missing, now it is 1'):
        changed.is_done()
    about = json.loads((folders.results / 'grid.json').read_text())
    assert about['judged_on'] == 'test' and about['experiments'] == [job.name]
    assert about['datasets'] == ['digits_lt'] and about['search'] is True


def test_steps_train_then_compare(grid_job):
    *_, job = grid_job()
    steps = job.steps(3)
    assert next(steps)[:2] == ['tools/train.py', 'digits_lt/digits/ce']
    compare = next(steps)
    assert compare[0] == 'tools/stage2_sweep.py' and '3' in compare
    steps.close()
    assert next(job.steps(3))[0] == 'tools/stage2_sweep.py'  # it is trained


def test_another_process_at_work_is_waited_for(grid_job):
    *_, job = grid_job()
    assert not job.is_taken()
    with locked(job.folder):
        assert job.is_taken()
        steps = job.steps(1)
        assert next(steps) is None and next(steps) is None
    with locked_work_dir(job.folder / 'train'):  # of a runner that was killed
        assert next(steps) is None
    assert next(steps)[0] == 'tools/train.py'
    steps.close()
    with locked(job.folder, wait=False):
        pass


def test_what_another_process_has_done_meanwhile_is_not_done_again(grid_job):
    *_, job = grid_job('val')
    with locked(job.folder):
        steps = job.steps(1)
        assert next(steps) is None
        write_json(dict(settings=job.run.settings, rows=[]), job.result)
    assert list(steps) == []


ROWS = [
    'b.png,cat,g1,train,test',
    'a.png,dog,g2,test,train',
    'c.png,cat,g3,val,val',
]


@pytest.mark.parametrize(
    ('header', 'rows', 'is_same'),
    [
        ('file,label,group,fold0,fold1', ROWS, True),
        ('file,label,group,fold0,fold1', ROWS[::-1], True),
        ('file,label,group,fold0,note', ROWS, True),
        ('file,label,group,fold0,fold1', [ROWS[0].replace('cat', 'dog'), *ROWS[1:]], 0),
        ('file,label,group,fold0,fold1', [ROWS[0].replace('g1', 'g2'), *ROWS[1:]], 0),
        ('file,label,group,fold1,fold0', ROWS, False),
        ('file,label,group,fold0,fold1', ROWS[1:], False),
        (None, (), True),  # not on this machine
    ],
)
def test_results_of_other_images_are_refused(
    header, rows, is_same, tmp_path, monkeypatch
):
    """They are trained anew, or the user is told: never silently shown."""
    monkeypatch.setenv('MMIMBAL_DATA', str(tmp_path))
    index = tmp_path / 'own' / 'index.csv'
    index.parent.mkdir()
    write_json(dict(classes=['cat', 'dog']), index.with_name('dataset.json'))
    index.write_text('\n'.join(['file,label,group,fold0,fold1', *ROWS]))
    text = GRID.format(judged_on='val', options={}).replace('digits_lt', 'own')
    (tmp_path / 'grid.py').write_text(text.replace("'digits'", "'64px'") + 'folds=[0]')
    folders = GridFolders(Path('tools'), tmp_path / 'work', tmp_path / 'results')
    grid = load_grid(tmp_path / 'grid.py')
    (job,) = folders.jobs(grid, grid.runs)
    steps = job.steps(1)
    next(steps)  # it trains
    steps.close()
    write_json(dict(settings=job.settings, rows=[]), job.result)
    index.unlink()
    if header:
        index.write_text('\n'.join([header, *rows]))
    for check in (job.is_done, lambda: next(job.steps(1), None)):
        if is_same:
            check()
        else:
            with pytest.raises(ValueError, match=r"index.csv was '\w{16}', now it is"):
                check()
    folders.check(grid)  # a page needs no images
    with pytest.raises(ValueError, match=r'options\.x was missing, now it is 1'):
        folders.check(replace(grid, runs=[replace(job.run, options={'x': 1})]))
    job.result.unlink()
    if not is_same:  # nor is its training gone on with
        with pytest.raises(ValueError, match=r"index.csv was '\w{16}', now it is"):
            next(job.steps(1))


@pytest.mark.parametrize('key', ['stage2', 'views', 'search'])
def test_other_heads_need_no_new_training(key, grid_job, tmp_path):
    *_, job = grid_job('val')
    steps = job.steps(1)
    next(steps)
    next(steps)  # it is trained
    steps.close()
    changed = dict(stage2=['crt'], views=2, search=False)[key]
    job = replace(job, run=replace(job.run, **{key: changed}))
    (sweep,) = list(islice(job.steps(1), 1))
    assert sweep[0] == 'tools/stage2_sweep.py'
    job = replace(job, run=replace(job.run, options={'x': 1}))
    with pytest.raises(ValueError, match=r'options\.x was missing'):
        next(job.steps(1))


def test_a_result_has_the_hash_of_its_training_and_says_what_to_know(grid_job):
    *_, job = grid_job()
    scores = dict(balanced_accuracy=50.0)
    row = SweepRow('crt', {}, '', [dict(seed=0, val=scores, test=scores)])
    about = dict(stage1='x.pth', batch_norm='frozen', device='CPU', views=4)
    about |= dict(number_of_seeds=1, metric='balanced_accuracy', seconds={}, failed={})
    sweep = SweepResult(**about, rows=[row], notes=['crt: look'])
    sweep.write(job.folder / 'stage2')
    files = np.array(['a.png', 'b.png'])
    predictions = Predictions(np.eye(2), np.array([0, 1]), files, files, ('a', 'b'))
    leaking = replace(predictions, about=dict(leak='1 of the 2 groups'))
    for found, remarks in (
        (predictions, ['ce + crt: look']),
        (leaking, ['ce + crt: look', f'{job.name}: 1 of the 2 groups']),
    ):
        found.save(predictions_file(job.folder / 'stage2', 'crt'))
        # Of when the training began: the index may be another one now.
        settings = job.run.settings | {'index.csv': 'aa'}
        write_json(settings, job.folder / 'settings.json')
        job.write_result()
        result = json.loads(job.result.read_text())
        assert result['remarks'] == remarks and result['settings'] == settings
    write_json(job.run.settings, job.folder / 'settings.json')  # of an older release
    job.write_result()
    assert json.loads(job.result.read_text())['settings'] == job.run.settings
