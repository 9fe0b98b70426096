import json
from collections import Counter
from pathlib import Path

import pytest
from mmengine.config import Config

from mmimbal.command_line import experiment
from mmimbal.command_line.experiment import words_of
from mmimbal.experiments.grid import load_grid
from tests.conftest import ROOT

GRIDS = sorted((ROOT / 'configs' / 'grids').glob('*.py'))
TOOLS = Path('tools')


@pytest.fixture
def write(tmp_path):
    def write(text):
        (tmp_path / 'grid.py').write_text(text)
        return tmp_path / 'grid.py'

    return write


GRID = """
profile = '64px'
datasets = dict(rbc12=dict(), isic2018=dict(options={'x.y': 1}))
folds = [0, 1]
seeds = [0, 1]
flags = ['--amp']
options = {'x.z': 2}
methods = dict(
    ce=dict(stage1='ce', stage2='all', options={'x.z': 3}),
    vs=dict(
        one_stage='vs',
        dataset_options=dict(isic2018={'x.w': 4}),
        metric=True,
    ),
)
"""


def test_every_combination_once(write):
    grid = load_grid(write(GRID))
    names = [run.name for run in grid.runs]
    assert len(names) == len(set(names)) == 2 * 2 * 2 * 2
    assert names[0] == 'rbc12_fold0_ce_seed0'
    assert {name[-1] for name in names[:8]} == {'0'}  # seed 0 of all comes first
    assert grid.metric_methods == ['vs'] and grid.judged_on == 'test'
    experiments = {run.experiment for run in grid.runs if run.dataset == 'rbc12'}
    assert experiments == {'rbc12/64px/ce', 'rbc12/64px/none/vs'}


def test_configs_are_read_once_however_many_runs_there_are(
    write, tmp_path, monkeypatch
):
    """Also the base of a data set that was prepared from a user's own images."""
    monkeypatch.setenv('MMIMBAL_DATA', str(tmp_path))
    (tmp_path / 'skin').mkdir()
    (tmp_path / 'skin/index.csv').write_text('file,label\n')
    (tmp_path / 'skin/dataset.json').write_text(json.dumps(dict(classes=['a', 'b'])))
    experiment._load_file.cache_clear()
    experiment._load_text.cache_clear()
    read, read_file = Counter(), Config._file2dict

    def spy(filename, *args, **kwargs):
        read[str(filename)] += 1
        return read_file(filename, *args, **kwargs)

    monkeypatch.setattr(Config, '_file2dict', staticmethod(spy))
    parsed, parse = [], Config.fromstring
    monkeypatch.setattr(
        Config,
        'fromstring',
        lambda text, kind: parsed.append(text) or parse(text, kind),
    )
    text = GRID.replace('datasets = dict(', 'datasets = dict(skin=dict(), ')
    text = text.replace('[0, 1]', 'list(range(20))')
    text = text.replace(
        'methods = dict(',
        "methods = dict(**{f'ce{n}': dict(stage1='ce') for n in range(9)}, ",
    )
    assert len(load_grid(write(text)).runs) == 3 * 20 * 20 * 11
    names = {Path(name).name for name in read}
    assert {'grid.py', 'rbc12.py', 'isic2018.py', '64px.py', 'vs.py'} <= names
    assert set(read.values()) == {1} and len(parsed) == 1


def test_a_method_may_have_seeds_of_its_own(write):
    grid = load_grid(write(GRID.replace('metric=True', 'metric=True, seeds=[2]')))
    seeds = {(run.method, run.seed) for run in grid.runs}
    assert seeds == {('ce', 0), ('ce', 1), ('vs', 2)}


def test_a_method_may_have_a_profile_of_its_own(write):
    grid = load_grid(write(GRID.replace('metric=True', "profile='pretrained'")))
    profiles = {(run.method, run.experiment.split('/')[1]) for run in grid.runs}
    assert profiles == {('ce', '64px'), ('vs', 'pretrained')}


@pytest.mark.parametrize(('views', 'search'), [(None, None), (4, True), (1, False)])
def test_how_heads_are_trained_is_a_setting_if_it_is_not_as_usual(write, views, search):
    given = '' if views is None else f'views = {views}\nsearch = {search}\n'
    run = load_grid(write(given + GRID)).runs[0]
    command = run.sweep_command(TOOLS, Path('run'), True, 1)
    assert command[command.index('--views') + 1] == str(views or 4)
    assert ('--no-search' in command) == (search is False)
    unusual = dict(views=1, search=False) if search is False else {}
    assert unusual.items() <= run.settings.items()
    assert bool(unusual) == bool(run.settings.keys() & {'views', 'search'})


def test_commands_say_what_differs(write, tmp_path):
    runs = {run.name: run for run in load_grid(write(GRID)).runs}
    run = runs['isic2018_fold1_ce_seed1']
    train = run.train_command(TOOLS, tmp_path)
    assert train[:2] == ['tools/train.py', 'isic2018/64px/ce'] and '--amp' in train
    options = train[train.index('--cfg-options') + 1 :]
    assert {'x.y=1', 'x.z=3', 'randomness.seed=1'} < set(options)
    for split in ('train', 'val', 'test'):
        assert f'{split}_dataloader.dataset.split_column=fold1' in options
    assert '--resume' not in train
    (tmp_path / 'train').mkdir()
    (tmp_path / 'train' / 'epoch_1.pth').touch()
    assert '--resume' in run.train_command(TOOLS, tmp_path)

    compare = run.sweep_command(TOOLS, tmp_path, True, 3)
    assert compare[2:4] == ['--methods', 'all'] and '--predictions' in compare
    assert compare[compare.index('--processes') + 1] == '3'
    run = runs['isic2018_fold1_vs_seed1']
    compare = run.sweep_command(TOOLS, tmp_path, False, 1)
    assert compare[2:4] == ['--methods', '--seeds']
    assert '--validation-only' in compare and '--predictions' not in compare
    assert 'x.w=4' in run.train_command(TOOLS, tmp_path)
    assert 'x.w=4' not in runs['rbc12_fold1_vs_seed1'].train_command(TOOLS, tmp_path)


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('seeds = [0, 1]', '', 'missing: seeds'),
        ("profile = '64px'", '', 'the grid has no profile'),
        ('flags', 'flag', 'unknown: flag'),
        ("stage2='all'", "stage_2='all'", r'method ce has .* unknown: stage_2'),
        ('options={', 'option={', r'data set isic2018 has .* unknown: option'),
        (
            'dict(isic2018={',
            'dict(others={',
            'unknown data sets others; .* rbc12, isic2018',
        ),
        ("stage1='ce'", "stage1='c'", r'method ce: .*no c in stage1'),
        ("stage1='ce', ", '', 'method ce: give exactly one of stage1, one_stage'),
        ("one_stage='vs'", "one_stage='knn'", 'method vs: .*knn is computed from'),
        ('rbc12=', 'rbc13=', 'no rbc13 in datasets. Did you mean rbc12'),
        ('folds', "plug_in = [('ce', 'x')]\nfolds", r"plug_in must be .*\('ce', 'x'\)"),
        ('folds', "judged_on = 'train'\nfolds", "judged_on='train' must be 'val'"),
        (
            'seeds = [0, 1]',
            'seeds = 5',
            r'seeds must be a list of whole numbers from 0 on, each once, got 5',
        ),
        ('seeds = [0, 1]', "seeds = '12'", "seeds must be .* got '12'"),
        ('seeds = [0, 1]', "seeds = ['1']", r"seeds must be .* got \['1'\]"),
        ('seeds = [0, 1]', 'seeds = []', r'seeds=\[\] must not be empty'),
        ('folds = [0, 1]', 'folds = [0, 0]', r'from 0 on, each once, .* got \[0, 0\]'),
        ('folds = [0, 1]', 'folds = [-1]', r'from 0 on, each once, .* got \[-1\]'),
        ('seeds = [0, 1]', 'seeds = [1, 1]', r'from 0 on, each once, got \[1, 1\]'),
        (
            '    ce=dict(',
            "    **{'ce + vs': dict(stage1='ce')}, ce=dict(",
            "'ce \\+ vs'",
        ),
        (
            '    ce=dict(',
            "    **{'': dict(stage1='ce')}, ce=dict(",
            'must be a text without /',
        ),
        (
            '    ce=dict(',
            "    **{'../ce': dict(stage1='ce')}, ce=dict(",
            'must be a text without /',
        ),
        ('folds = [0, 1]', 'folds = 5', 'folds must be a list of whole numbers from 0'),
        ("flags = ['--amp']", "flags = '--amp'", "flags must be a list, got '--amp'"),
        ("options = {'x.z': 2}", "options = ['x.z=2']", 'options must be a dict, got'),
        ('rbc12=dict()', "rbc12=['x.y=1']", r'data set rbc12 must be a dict, .* got'),
        ('metric=True', "metric='no'", "vs: metric must be True or False, got 'no'"),
        ('folds', "search = 'no'\nfolds", 'search must be True or False'),
        ('folds', 'views = 0\nfolds', 'views must be a whole number above 0, got 0'),
        ('folds', "views = 'two'\nfolds", "views must be .*, got 'two'"),
        ("stage2='all'", "stage2=['crtt']", 'method ce, stage2: no method crtt; known'),
        ("stage2='all'", "stage2=['all', 'crt']", 'ce, stage2: no method all; known'),
        ("stage2='all'", "stage2=['crt', 'crt']", 'stage2: .* crt is named twice'),
        ("stage2='all'", 'stage2=5', 'stage2 must be a list of words, or a word, got'),
        ("stage2='all'", 'stage2=[5]', r'stage2 must be .* got \[5\]'),
    ],
)
def test_mistakes_are_named(write, old, new, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load_grid(write(GRID.replace(old, new)))


def test_folds_and_seeds_may_be_a_range(write):
    text = GRID.replace('folds = [0, 1]', 'folds = range(3)')
    runs = load_grid(write(text.replace('seeds = [0, 1]', 'seeds = range(2)'))).runs
    assert {(run.fold, run.seed) for run in runs} == {
        (fold, seed) for fold in range(3) for seed in range(2)
    }


def test_a_missing_grid_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'no grid .*none\.py'):
        load_grid(tmp_path / 'none.py')


@pytest.mark.parametrize('path', GRIDS, ids=lambda path: path.stem)
def test_grids_of_the_repository_load(path):
    assert load_grid(path).runs


@pytest.mark.parametrize('value', ['dict(y=1)', "'a,b'"])
@pytest.mark.parametrize(
    'old', ["{'x.z': 3}", "{'x.y': 1}", "{'x.z': 2}", "{'x.w': 4}"]
)
def test_options_that_a_command_line_would_garble_are_refused(write, old, value):
    with pytest.raises(ValueError, match='dotted keys with plain values'):
        load_grid(write(GRID.replace(old, f"{{'x.z': {value}}}")))


def test_a_config_of_your_own_is_of_one_data_set_and_of_stage_1(write, tmp_path):
    own = tmp_path / 'own.py'
    text = GRID.replace("stage1='ce'", f"config='{own}'")
    with pytest.raises(FileNotFoundError, match=r'method ce: no config .*own\.py'):
        load_grid(write(text))
    own.write_text('model = dict()')
    with pytest.raises(ValueError, match='has one data set'):
        load_grid(write(text))
    text = text.replace('rbc12=dict(), ', '')
    assert {run.experiment for run in load_grid(write(text)).runs} == {
        str(own),
        'isic2018/64px/none/vs',
    }
    own.write_text("custom_hooks = [dict(type='mmimbal.TwoStageHook', stage1='x')]")
    with pytest.raises(
        ValueError, match=r'own\.py is a stage 2\. Its stage 1 may have'
    ):
        load_grid(write(text))


def test_the_grid_of_methods_has_every_word():
    runs = load_grid(ROOT / 'configs' / 'grids' / 'methods.py').runs
    assert {run.experiment.split('/')[-1] for run in runs} == set(words_of('stage1'))
    assert {word for run in runs for word in run.stage2} == set(words_of('stage2'))
    assert len(runs) == len(words_of('stage1'))
