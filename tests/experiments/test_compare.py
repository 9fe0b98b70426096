"""tools/compare.py: its grid, its verdict and its page."""

import json
import re
import shlex
from dataclasses import replace
from functools import reduce
from operator import getitem
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmimbal.command_line.compose import compose
from mmimbal.command_line.experiment import parse_experiment
from mmimbal.datasets.checking.check_result import file_hash
from mmimbal.datasets.index_file import read_index
from mmimbal.experiments.compare_grid import (
    QUICK_EPOCHS,
    check_profile,
    choose_profile,
    commands_of_winner,
    warm_up_options,
    write_grid,
)
from mmimbal.experiments.compare_page import which_images
from mmimbal.experiments.compare_time import estimated_seconds, readable, workers_for
from mmimbal.experiments.grid import load_grid
from mmimbal.experiments.grid_run import fold_options
from mmimbal.experiments.grid_runner import GridFolders
from mmimbal.experiments.own_data import describe_data
from mmimbal.experiments.results import images_file, pack, unpack
from mmimbal.experiments.rows import Row
from mmimbal.files.json_file import read_json, write_json
from tests.conftest import CONFIGS, ROOT, write_index
from tests.example_results import scores_of
from tests.tools import explain, run_forked

RIGHT = dict(ce=0.5, recommended=0.9, control=0.6)  # share of right predictions


@pytest.fixture
def data(tmp_path, monkeypatch):
    """data/cells: 400 images of two classes, with two folds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('MMIMBAL_DATA', 'data')  # the tool changes it
    rows = [
        {
            'file': f'{n}.png',
            'label': 'ab'[n % 2],
            'group': f'p{n // 4}',
            'fold0': ('train', 'train', 'val', 'test')[n // 100],
            'fold1': ('test', 'val', 'train', 'train')[n // 100],
        }
        for n in range(400)
    ]
    folder = write_index(tmp_path / 'data' / 'cells', rows, size=8)
    described = json.dumps(dict(classes=['a', 'b'], split='made here'))
    (folder / 'dataset.json').write_text(described)
    report = dict(index=file_hash(folder / 'index.csv'), errors=0)
    write_json(dict(report, split_columns=['fold0', 'fold1']), folder / 'check.json')
    return describe_data(Path('data/cells'))


def test_the_grid_has_the_recipe_and_its_control_on_every_fold(data, tmp_path):
    write_grid(data, '64px', False, tmp_path / 'decoded', tmp_path / 'grid.py')
    grid = load_grid(tmp_path / 'grid.py')
    names = {(run.method, run.fold) for run in grid.runs}
    assert names == {(method, fold) for method in RIGHT for fold in (0, 1)}
    runs = {run.method: run for run in grid.runs}
    assert runs['recommended'].experiment == 'cells/64px/recommended'
    assert runs['control'].experiment == 'cells/64px/recommended'
    changed = runs['control'].options.items() - runs['recommended'].options.items()
    assert changed == {('model.head.metric_weight', 0.0)}
    assert all(run.stage2 == ['all'] for run in grid.runs)
    assert 'train_cfg.max_epochs' not in runs['ce'].options
    assert {(run.views, run.search) for run in grid.runs} == {(4, True)}
    assert runs['ce'].options['train_dataloader.drop_last']


def test_a_run_has_the_settings_of_the_study(data, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    write_grid(data, 'pretrained', False, tmp_path / 'decoded', tmp_path / 'grid.py')
    found, study = (
        {
            run.method: run.settings
            for run in load_grid(file).runs
            if run.dataset == dataset and run.fold == run.seed == 0
        }
        for file, dataset in (
            (tmp_path / 'grid.py', 'cells'),
            (CONFIGS / 'grids/study_pretrained.py', 'isic2018'),
        )
    )
    assert found.keys() == {*RIGHT, 'imagenet'}
    for method, settings in found.items():
        assert settings['options'].pop('param_scheduler.0.end') < 50  # few images
        of_study = json.dumps(study[method]).replace('isic2018', 'cells')
        assert settings == json.loads(of_study)


def test_a_quick_look_is_one_fold_and_few_epochs(data, tmp_path):
    write_grid(data, '64px', True, tmp_path / 'decoded', tmp_path / 'grid.py')
    runs = load_grid(tmp_path / 'grid.py').runs
    assert {run.fold for run in runs} == {0}
    assert {run.options['train_cfg.max_epochs'] for run in runs} == {QUICK_EPOCHS}
    assert {(run.views, run.search) for run in runs} == {(1, False)}
    assert {run.options['train_cfg.val_interval'] for run in runs} == {QUICK_EPOCHS}
    assert {run.options['param_scheduler.1.T_max'] for run in runs} == {QUICK_EPOCHS}


@pytest.mark.parametrize(
    ('profile', 'quick', 'has_imagenet'),
    [
        ('pretrained', False, True),
        ('pretrained', True, False),
        ('64px', False, False),
        ('adapter', False, False),
        ('adapter', True, False),
    ],
)
def test_untouched_features_are_those_of_weights(
    data, tmp_path, profile, quick, has_imagenet
):
    write_grid(data, profile, quick, tmp_path / 'decoded', tmp_path / 'grid.py')
    runs = {run.method: run for run in load_grid(tmp_path / 'grid.py').runs}
    assert ('imagenet' in runs) == has_imagenet
    if has_imagenet:
        assert runs['imagenet'].experiment == 'cells/pretrained/frozen'
        assert runs['imagenet'].options['train_cfg.max_epochs'] == 1
        (first,) = commands_of_winner(data, profile, Row('imagenet', '', False), None)
        assert_trains_as(first, runs['imagenet'])


def assert_trains_as(command, run):
    """Compare the options of a command of the winner with those of its run."""
    experiment, *options = shlex.split(command.partition('tools/train.py ')[2])
    assert experiment == run.experiment
    found = dict(option.split('=') for option in options[1:])
    wanted = dict(run.options) | fold_options(0)
    same = ('.cache', '.num_workers', '.persistent_workers')  # change no result
    wanted = {k: str(v) for k, v in wanted.items() if not k.endswith(same)}
    plain = run.method in ('ce', 'imagenet')
    if not plain:  # what their config has
        cfg = compose(parse_experiment(experiment))
        for key, usual in (
            ('train_dataloader.drop_last', False),
            ('default_hooks.checkpoint.save_best', 'missing'),
        ):
            part, _, name = key.rpartition('.')
            found[key] = str(reduce(getitem, part.split('.'), cfg).get(name, usual))
    assert found == wanted


@pytest.mark.parametrize('method', RIGHT)
def test_the_commands_train_the_winner_as_the_comparison_did(data, tmp_path, method):
    write_grid(data, '64px', False, tmp_path / 'decoded', tmp_path / 'grid.py')
    runs = {run.method: run for run in load_grid(tmp_path / 'grid.py').runs}
    assert not data.has_split  # only folds: the first one is used
    (first,) = commands_of_winner(data, '64px', Row(method, '', False), '/elsewhere')
    assert_trains_as(first, runs[method])
    root = shlex.split(first)[0]
    assert root == f'MMIMBAL_DATA={data.folder.resolve().parent}'


def test_the_split_of_a_download_makes_a_grid(data, tmp_path):
    official = replace(data, folds=[None], is_official=True, has_split=True)
    write_grid(official, '64px', False, tmp_path / 'decoded', tmp_path / 'grid.py')
    runs = load_grid(tmp_path / 'grid.py').runs
    assert {run.fold for run in runs} == {None} and len(runs) == len(RIGHT)
    (first,) = commands_of_winner(official, '64px', Row('ce', '', False), None)
    assert 'split_column' not in first


def test_a_split_that_lacks_images_is_not_one_to_train_on(tmp_path):
    rows = [
        dict(file=f'{n}.png', label='ab'[n % 2], split='train', fold0=split)
        for n, split in enumerate(['train', 'train', 'val', 'val', 'test', 'test'])
    ]
    folder = write_index(tmp_path / 'cells', rows, size=8)
    (folder / 'dataset.json').write_text(json.dumps(dict(classes=['a', 'b'])))
    assert not describe_data(folder).has_split
    text = (folder / 'index.csv').read_text()
    text = text.replace('train,val', 'val,val').replace('train,test', 'test,test')
    (folder / 'index.csv').write_text(text)
    assert describe_data(folder).has_split


def test_a_path_with_a_comma_is_refused_before_training(data, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(ValueError, match='has a comma, so no option can name it'):
        write_grid(data, '64px', False, tmp_path / 'a,b', tmp_path / 'grid.py')


def test_an_adapter_has_no_views_for_the_recipe(data):
    check_profile('cells', 'pretrained')
    with pytest.raises(ValueError, match='--profile adapter trains an adapter on one'):
        check_profile('cells', 'adapter')
    with pytest.raises(ValueError, match='the profile digits is not for images'):
        check_profile('cells', 'digits')


@pytest.mark.parametrize(
    ('runs', 'cores', 'workers'),
    [
        (3, 2, 1),
        (15, 2, 2),
        (3, 4, 1),
        (3, 16, 3),
        (15, 8, 8),
        (1, 4, 1),
        (2, 1, 1),
        (0, 2, 1),
    ],
)
def test_runs_at_the_same_time(runs, cores, workers):
    assert workers_for(runs, cores) == workers


def test_the_estimate_is_that_of_the_worker_that_ends_last(data, tmp_path, monkeypatch):
    per_row = 0.001
    monkeypatch.setattr(
        'mmimbal.experiments.compare_time._seconds_per_row', lambda *_: per_row
    )
    write_grid(data, '64px', True, tmp_path / 'decoded', tmp_path / 'grid.py')
    runs = load_grid(tmp_path / 'grid.py').runs
    batches = compose(parse_experiment('cells/64px/recommended')).train_dataloader
    natural = batches.batch_sampler.natural_size
    with_views = natural + 2 * (batches.batch_size - natural)
    sweep = 0.4 * (200 + 100 + 100) + 0.3 * 200  # features of all splits, heads
    of = dict(ce=QUICK_EPOCHS * 200 + sweep)
    of['recommended'] = QUICK_EPOCHS * 200 / natural * with_views + sweep
    of['control'] = of['recommended']
    taken = [per_row * of[run.method] for run in runs]
    assert estimated_seconds(runs, data, 1, 2) == pytest.approx(sum(taken))
    last = max(taken[0] + taken[2], taken[1])  # two workers, in the order of the runs
    assert estimated_seconds(runs, data, 2, 1) == pytest.approx(1.25 * last)


def test_runs_with_views_can_be_estimated_alone(data, tmp_path):
    """Those that are left after a stop."""
    write_grid(data, '64px', True, tmp_path / 'decoded', tmp_path / 'grid.py')
    runs = [run for run in load_grid(tmp_path / 'grid.py').runs if run.method != 'ce']
    assert len(runs) == 2 and estimated_seconds(runs, data, 1, 1) > 0


def test_durations_are_readable():
    assert readable(20) == '1 min' and readable(60 * 59) == '59 min'
    assert readable(60 * 140) == '2 h 20 min'


def test_the_profile_is_that_of_the_machine(monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    assert choose_profile() == 'pretrained'
    monkeypatch.setattr('mmimbal.experiments.compare_grid.WEIGHTS', 'no-such-package')
    assert choose_profile() == '64px'
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    assert choose_profile() == '224px'


def test_the_commands_train_the_winner_with_what_most_folds_chose(data, tmp_path):
    data = replace(data, has_split=True)
    row = Row('control', 'crt', False)
    for fold, rate in enumerate((0.1, 0.02, 0.1)):
        row.runs[fold, 0] = dict(params={'optim_wrapper.optimizer.lr': rate})
    first, second = commands_of_winner(data, '64px', row, None)
    assert first == (
        'python tools/train.py cells/64px/recommended --cfg-options '
        'param_scheduler.0.end=8 model.head.metric_weight=0.0'
    )
    assert second == (
        'python tools/train.py cells/64px/recommended/crt --cfg-options '
        'optim_wrapper.optimizer.lr=0.1'
    )
    elsewhere = commands_of_winner(data, '64px', Row('ce', '', False), '/my data')
    assert elsewhere == [
        "MMIMBAL_DATA='/my data' python tools/train.py cells/64px/ce --cfg-options "
        'param_scheduler.0.end=8 train_dataloader.drop_last=True '
        'default_hooks.checkpoint.save_best=None'
    ]
    spaced = replace(data, word='my cells')
    first, second = commands_of_winner(spaced, '64px', row, None)
    assert "tools/train.py 'my cells/64px/recommended' --cfg" in first
    assert "tools/train.py 'my cells/64px/recommended/crt' --cfg" in second


def write_results(data, work_dir, right=RIGHT):
    """Write the results of all runs, as if they were trained."""
    write_grid(data, '64px', False, work_dir / 'decoded', work_dir / 'compare.py')
    grid = load_grid(work_dir / 'compare.py')
    results = work_dir / 'results' / 'compare'
    folders = GridFolders(ROOT / 'tools', work_dir / 'runs', results)
    folders.describe(grid)
    random = np.random.default_rng(0)
    for job in folders.jobs(grid, grid.runs):
        labels = np.arange(100) % 2
        images = dict(
            classes=['a', 'b'],
            files=f'fold{job.run.fold}',
            labels=pack(labels),
            groups=pack(np.arange(100) // 4),
        )
        write_json(images, images_file(results, 'cells', job.run.fold))
        rows = []
        for stage2 in ('', 'crt', 'vs'):
            # Validation chooses crt, which is the worst on test.
            share = right[job.run.method] - 0.1 * (stage2 == 'crt')
            predicted = np.where(random.random(100) < share, labels, 1 - labels)
            scores = scores_of(labels, predicted)
            val = {m: each + 50 * (stage2 == 'crt') for m, each in scores.items()}
            row = dict(stage2=stage2, params={}, val=val, test=scores)
            rows.append(row | dict(predicted=pack(predicted)))
        result = dict(
            dataset='cells',
            fold=job.run.fold,
            seed=0,
            settings=job.run.settings,
            method=job.run.method,
            batch_norm='frozen',
            views=4,
            device='CPU',
            left_out=[],
            images=images['files'],
            rows=rows,
        )
        write_json(result, job.result)


def test_the_tool_ends_with_a_page_and_a_verdict(data, tmp_path, capsys):
    work_dir = tmp_path / 'work_dirs' / 'compare' / 'cells'
    write_results(data, work_dir)
    assert explain('compare', 'data/cells', '--profile', '64px') is None
    said = capsys.readouterr().out
    assert 'Validation chooses recommended' in said
    assert '- Intervals are over 50 groups' in said
    assert 'ways of stage 2, recommended minus control is +' in said
    assert said.count('above 0 in 2 of them') == 4  # two metrics, two controls
    assert 'python tools/train.py cells/64px/recommended' in said
    page = (work_dir / 'compare.html').read_text()
    assert 'Intervals are over 50 groups' in page
    assert 'Each method was trained with one seed' in page
    assert '<svg' in page and 'recommended minus ce' in page
    assert 'may be chance' not in page
    assert 'first of 2 folds. Each image is a test image of one fold, and' in page

    found = r'is (\S+) \[.*?\] points of balanced accuracy.*? and (\S+) \[.*?macro F1'
    (gains,) = re.findall(f'the first row minus this one {found}', said)
    (chosen,) = re.findall(r'best rows of validation</h2>(.*?)</table>', page, re.S)
    plain = 'control + crt'
    assert f'The difference is to {plain}, the best of them' in chosen
    cells = re.findall(r'<td>(.*?)</td>', chosen, re.S)
    rows = {cells[n]: cells[n + 1 : n + 7] for n in range(0, len(cells), 7)}
    assert list(rows) == ['recommended + crt *', plain, 'ce + crt']
    for gain, cell in zip(gains, rows['recommended + crt *'][1::3], strict=False):
        assert gain in cell
    assert rows[plain][1:3] == ['-', '-']
    assert '\\' not in page


def test_the_page_says_which_images_are_tested(data):
    other, same = (SimpleNamespace(has_several_tests=x, folds='01') for x in (1, 0))
    assert 'Each image is a test image of one fold' in which_images(data, other)
    assert 'All folds test on the same images' in which_images(data, same)
    same.folds = '0'
    assert which_images(data, same).endswith('2 folds, the only one that was used.')


def test_a_profile_that_does_not_fit_is_refused_before_the_check(data):
    (data.folder / 'check.json').unlink()
    message = explain('compare', 'data/cells', '--profile', 'digits')
    assert 'the profile digits is not for images of cells' in message
    assert not (data.folder / 'check.json').exists()


def test_a_small_difference_is_no_claim(data, tmp_path, capsys):
    work_dir = tmp_path / 'work_dirs' / 'compare' / 'cells'
    write_results(data, work_dir, dict.fromkeys(RIGHT, 0.6))
    explain('compare', 'data/cells', '--profile', '64px')
    assert '(may be chance)' in capsys.readouterr().out


def test_a_class_that_is_always_found_is_no_evidence(data, tmp_path, capsys):
    """The difference is large, but its interval is too narrow."""
    work_dir = tmp_path / 'work_dirs' / 'compare' / 'cells'
    write_results(data, work_dir)
    for size in (8, 4):  # of a group: too few groups, and enough
        for file in (work_dir / 'results' / 'compare' / 'images').iterdir():
            numbers = dict(groups=pack(np.arange(100) // size))
            write_json(read_json(file) | numbers, file)
        explain('compare', 'data/cells', '--profile', '64px')
        said = capsys.readouterr().out
        assert ('the interval is too narrow' in said) is (size == 8)
    for file in (work_dir / 'results' / 'compare' / 'runs').iterdir():
        result = read_json(file)
        for row in result['rows']:
            found = np.where(np.arange(100) % 2 == 0, 0, unpack(row['predicted']))
            row['predicted'] = pack(found)
        write_json(result, file)
    explain('compare', 'data/cells', '--profile', '64px')
    said = capsys.readouterr().out
    assert 'may be chance, the interval is too narrow' in said
    assert 'Over all 2 ways of stage 2' in said and '17 of' not in said
    assert said.count('the interval is too narrow') == 6  # two metrics of three


def test_errors_of_the_data_stop_it(data, monkeypatch):
    """Every fold is checked: one, as training advises, says nothing of the others."""
    monkeypatch.setattr(
        'subprocess.run', lambda command, check: run_forked(*map(str, command[1:]))
    )
    report = data.folder / 'check.json'
    write_json(read_json(report) | dict(split_columns=['fold0']), report)
    (data.folder / '5.png').write_bytes(b'no image')
    for _ in range(2):  # also when the errors are known
        message = explain('compare', 'data/cells', '--profile', '64px')
        assert 'correct the errors above in data/cells, and run this again' in message


def test_folds_of_an_index_with_errors_do_not_stay(data, tmp_path, monkeypatch):
    """Or the corrected index would be refused, because it is another one."""
    monkeypatch.setattr(
        'subprocess.run', lambda command, check: run_forked(*map(str, command[1:]))
    )
    index = data.folder / 'index.csv'
    rows = [line.rpartition(',')[0] for line in index.read_text().splitlines()]
    index.write_text('\n'.join(line.rpartition(',')[0] for line in rows))
    (data.folder / '5.png').write_bytes(b'no image')
    message = explain('compare', 'data/cells', '--profile', '64px')
    assert 'correct the errors above in data/cells, and run this again' in message
    assert not (tmp_path / 'work_dirs/compare/cells/data/cells').exists()
    assert (data.folder / '6.png').is_file()


@pytest.mark.parametrize('name', ['my-data', '2 cells', 'class'])
def test_a_name_that_is_no_python_name(data, tmp_path, name):
    other = data.folder.with_name(name)
    data.folder.rename(other)
    write_grid(describe_data(other), '64px', True, tmp_path, tmp_path / 'grid.py')
    assert {run.dataset for run in load_grid(tmp_path / 'grid.py').runs} == {name}


@pytest.mark.slow
def test_a_quick_look_from_folders_to_the_page(tmp_path, monkeypatch, capsys):
    """All trainings and heads, on a small net."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('MMIMBAL_DATA', 'data')
    rows = [
        {
            'file': f'{n}.png',
            'label': 'ab'[n % 2],
            'group': f'p{n // 2}',
            'split': 'train',
        }
        for n in range(80)
    ]
    folder = write_index(tmp_path / 'data' / 'cells', rows, size=64)
    (folder / 'dataset.json').write_text(json.dumps(dict(classes=['a', 'b'])))
    assert explain('compare', 'data/cells', '--profile', '64px', '--quick') is None
    said = capsys.readouterr().out
    assert 'To train the winner:' in said and 'about ' in said
    assert '- This was a quick look' in said
    work_dir = tmp_path / 'work_dirs/compare/cells_quick'
    # All images of the split are for training: the commands use the folds made here.
    command = next(line for line in said.splitlines() if 'tools/train.py cells' in line)
    root = shlex.split(command)[0].removeprefix('MMIMBAL_DATA=')
    assert 'train_dataloader.dataset.split_column=fold0' in command
    assert 'fold0' in read_index(Path(root, 'cells', 'index.csv')).column_names
    assert 'This was a quick look' in (work_dir / 'compare.html').read_text()
    assert not (folder / 'check.json').exists()


@pytest.mark.parametrize(('images', 'end'), [(128, 2), (12_800, None)])
def test_a_small_data_set_has_a_short_warm_up(images, end):
    """A fifth of the steps: 10 epochs of one batch have 10 steps, of 100 have 1,000."""
    data = SimpleNamespace(counts=dict(train=np.array([images - 1, 1])))
    cfg = Config.fromfile(CONFIGS / '_base_/schedules/finetune_10e.py')
    cfg.train_dataloader = dict(batch_size=128)
    expected = {} if end is None else {'param_scheduler.0.end': end}
    assert warm_up_options(data, cfg) == expected
    quick = warm_up_options(data, cfg, 1)
    assert quick['param_scheduler.0.end'] == max(1, images // 128 // 5)
