from pathlib import Path

import pytest
from mmengine.config import Config

from mmimbal.experiments.cross_validation import (
    FoldJob,
    Stage,
    number_of_folds,
    stages_of,
)
from mmimbal.files.lock import locked_work_dir
from tests.conftest import CONFIGS, write_index


def stages(config, **options):
    given = dict(
        profile=None, bases=[], stage1_config=None, options=['a=1'], stage1_options=None
    )
    found = stages_of(str(config), **given | options)
    return [(stage.config, list(stage.options)) for stage in found]


def test_the_stage_1_of_an_experiment_follows_from_its_words():
    assert stages('isic2018/64px/bcl/vs') == [
        ('isic2018/64px/bcl', ['a=1']),
        ('isic2018/64px/bcl/vs', ['a=1']),
    ]
    leaf = CONFIGS / 'isic/stage2_crt.py'
    bases = ['stage1/triplet=stage1/supcon', 'stage2/crt=stage2/lws']
    found = stages(leaf, profile='64px', bases=bases, stage1_options=['b=2'])
    assert found == [
        ('isic2018/64px/supcon', ['b=2']),
        ('isic2018/64px/supcon/lws', ['a=1']),
    ]
    assert stages('isic2018/64px/bcl') == [('isic2018/64px/bcl', ['a=1'])]
    for one_run in ('rbc12/64px/triplet+crt', 'rbc12/64px/none/vs'):
        assert stages(one_run) == [(one_run, ['a=1'])]


@pytest.fixture
def own(tmp_path):
    """Return a config of one's own that follows a stage 1."""
    file = tmp_path / 'own.py'
    hook = dict(type='mmimbal.TwoStageHook', stage1='somewhere')
    file.write_text(f'custom_hooks = [{hook}]\n')
    return file


def test_folds_of_stage_2_need_stage_1_of_each(own):
    with pytest.raises(
        ValueError, match='name the config of stage 1 with --stage1-config'
    ):
        stages(own)
    assert stages(own, stage1_config='x.py') == [('x.py', ['a=1']), (str(own), ['a=1'])]


def test_flags_that_would_do_nothing_are_refused(own):
    with pytest.raises(ValueError, match='has no stage 1'):
        stages('isic2018/64px/bcl', stage1_options=['b=2'])
    with pytest.raises(ValueError, match='has settings besides the four words'):
        stages(own, profile='64px')
    with pytest.raises(ValueError, match='expected OLD=NEW'):
        stages('isic2018/64px/bcl', bases=['stage2/crt=stage2/lws'])


def test_commands_of_a_fold(tmp_path):
    two = [Stage('one', ['x=1']), Stage('two', ['y=2'])]
    job = FoldJob(2, tmp_path, Path('tools'), two, ['--amp'])
    with locked_work_dir(tmp_path / 'fold2_stage1'):  # a training is still there
        steps = job.steps(1)
        assert next(steps) is None
    first, second, test = steps
    assert first[:4] == [
        'tools/train.py',
        'one',
        '--work-dir',
        f'{tmp_path}/fold2_stage1',
    ]
    assert second[:4] == ['tools/train.py', 'two', '--work-dir', f'{tmp_path}/fold2']
    assert second[4:6] == ['--stage1', f'{tmp_path}/fold2_stage1']
    assert test[:3] == ['tools/test.py', 'two', f'{tmp_path}/fold2']
    assert test[3:5] == ['--out', f'{tmp_path}/fold2.npz']
    for command, own in ((first, 'x=1'), (second, 'y=2'), (test, 'y=2')):
        options = command[command.index('--cfg-options') + 1 :]
        assert [part.split('=')[1] for part in options[:3]] == 3 * ['fold2']
        assert options[3:] == [own] and '--amp' in command
    (tmp_path / 'fold2').mkdir(exist_ok=True)
    (tmp_path / 'fold2' / 'epoch_1.pth').touch()
    commands = list(job.steps(1))
    assert ['--resume' in command for command in commands] == [False, True, False]
    job.predictions.touch()
    assert list(job.steps(1)) == [] and job.share_done() == 1


def test_flags_of_training_are_not_for_testing(tmp_path):
    flags = ['--amp', '--no-validate', '--auto-scale-lr']
    train, test = FoldJob(0, tmp_path, Path('t'), [Stage('one', [])], flags).steps(1)
    assert set(flags) < set(train) and set(flags) & set(test) == {'--amp'}


def test_as_many_folds_as_the_index_has(tmp_path, capsys):
    rows = [
        {'file': f'{n}.png', 'label': 'a', **{f'fold{k}': 'train' for k in range(3)}}
        for n in range(2)
    ]
    folder = write_index(tmp_path, rows)
    dataset = dict(type='mmimbal.CSVDataset', data_root=str(folder), split='train')
    cfg = Config(dict(train_dataloader=dict(dataset=dataset)))
    assert number_of_folds(cfg, None, []) == number_of_folds(cfg, 3, []) == 3
    assert capsys.readouterr().out == ''
    assert number_of_folds(cfg, 2, []) == 2
    assert '2 of 3 folds: the images of the others are not' in capsys.readouterr().out
    with pytest.raises(ValueError, match=r'has 3 folds\. .* with --folds 4'):
        number_of_folds(cfg, 4, [])
    other = ['train_dataloader.dataset.data_root=elsewhere']
    assert number_of_folds(cfg, None, other) == number_of_folds(Config(), None, []) == 5


def test_folds_are_those_of_the_index_that_the_config_names(tmp_path, monkeypatch):
    """Neither those of index.csv beside it, nor those of the current folder."""
    one_fold, two_folds = 'file,label,fold0\na,b,test', 'file,label,fold0,fold1\na,b,,'
    (tmp_path / 'index.csv').write_text(one_fold)
    (tmp_path / 'mine.csv').write_text(two_folds)
    dataset = dict(type='mmimbal.CSVDataset', data_root=str(tmp_path))
    cfg = Config(
        dict(train_dataloader=dict(dataset=dict(dataset, ann_file='mine.csv')))
    )
    assert number_of_folds(cfg, None, []) == 2
    other = ['train_dataloader.dataset.ann_file=other.csv']
    assert number_of_folds(cfg, None, other) == 5
    monkeypatch.chdir(tmp_path)
    digits = Config(dict(train_dataloader=dict(dataset=dict(type='mmimbal.DigitsLT'))))
    assert number_of_folds(digits, None, []) == 5


def test_a_data_set_that_is_not_there_starts_no_fold(tmp_path):
    dataset = dict(type='mmimbal.CSVDataset', data_root=str(tmp_path), split='train')
    cfg = Config(dict(train_dataloader=dict(dataset=dataset)))
    with pytest.raises(FileNotFoundError, match='no dataset at'):
        number_of_folds(cfg, 5, [])
