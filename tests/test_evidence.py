"""From checkpoints to predictions, reports, folds and grids, as a user does it."""

import argparse
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from mmengine.config import Config
from tqdm import tqdm

from mmimbal.datasets import DigitsLT
from mmimbal.evaluation.metrics import summarise
from mmimbal.evaluation.predictions import Predictions, load_predictions
from mmimbal.files.checkpoint import load_from_local
from tests.conftest import CONFIGS, ROOT, rows_of, write_index
from tests.tools import OPTIONS, explain, fail, succeed

LEAF = 'configs/digits_lt/stage1_ce.py'
LEAVES = ('stage1_triplet', 'stage2_crt')


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


def test_two_ranks_write_the_same(tested, stage1, tmp_path):
    flags = ['--work-dir', tmp_path, '--cfg-options', *OPTIONS]
    out = ['--out', tmp_path / 'two.npz']
    env = {'PORT': '29657'}
    succeed('tools/dist_test.sh', LEAF, stage1, 2, *out, *flags, env=env)
    one, two = load_predictions(tested[0]), load_predictions(tmp_path / 'two.npz')
    assert two.files.tolist() == one.files.tolist() and two.embeddings is None
    assert two.scores == pytest.approx(one.scores, abs=1e-5)


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
    assert 'two runs are called one: write NAME=' in message
    (tmp_path / 'cut.npz').write_bytes(tested[0].read_bytes()[:400])
    message = explain('report', tmp_path / 'cut.npz')
    assert 'no whole file of predictions' in message


@pytest.mark.parametrize(
    'flags', [['--out', 'scores.pkl'], ['--embeddings', '--out', 'metrics.json']]
)
def test_files_of_a_test_are_known_by_their_endings(flags, capsys):
    assert explain('test', LEAF, 'somewhere', *flags) == 2
    assert '.npz' in capsys.readouterr().err


GRID = """
title = 'Digits'
datasets = dict(digits=dict())
seeds = [0]
options = {
    'model.backbone.stem_channels': 4,
    'model.backbone.base_channels': 4,
    'model.head.in_channels': 32,
    'train_cfg.max_epochs': EPOCHS,
}
methods = dict(
    ce=dict(config='digits_lt/stage1_ce.py', stage2=['crt', 'nearest_mean']),
    triplet=dict(config='digits_lt/stage1_triplet.py', stage2=['crt'], metric=True),
)
"""


def bench(folder, grid):
    flags = ['--work-dir', folder / 'work', '--results', folder / 'results']
    return ['tools/benchmark.py', grid, *flags, '--page', folder / 'page.md']


def results_of(folder):
    files = sorted((folder / 'results').rglob('*.json'))
    return {file.relative_to(folder): file.read_text() for file in files}


def test_a_benchmark_killed_and_run_again_gives_the_same(tmp_path):
    grid = tmp_path / 'digits.py'
    grid.write_text(GRID.replace('EPOCHS', '8'))
    succeed(*bench(tmp_path / 'whole', grid))
    expected = results_of(tmp_path / 'whole')
    assert len(expected) == 2 + 1 + 1
    page = (tmp_path / 'whole' / 'page.md').read_text()
    assert 'ce + nearest_mean' in page and 'Best row without metric learning' in page

    folder = tmp_path / 'killed'
    for epoch, number in ((1, signal.SIGTERM), (3, signal.SIGKILL)):
        process = subprocess.Popen(
            [sys.executable, *map(str, bench(folder, grid))],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while not list(folder.glob(f'work/digits_split_*/train/epoch_{epoch}.pth')):
            assert process.poll() is None
            time.sleep(0.05)  # the trainings need the core
        if number == signal.SIGTERM:
            process.terminate()
            assert process.wait() == 143
            with pytest.raises(ProcessLookupError):  # trainings have ended with it
                os.killpg(process.pid, 0)
        else:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert len(results_of(folder)) < len(expected)
    succeed(*bench(folder, grid))
    assert results_of(folder) == expected
    assert (folder / 'page.md').read_text() == page
    # Nothing is left to do.
    trained = {file: file.stat().st_mtime_ns for file in folder.rglob('*.pth')}
    stopped = explain('benchmark', *bench(folder, grid)[1:])
    assert stopped is None
    # Nor is it taken for what it is not.
    grid.write_text(GRID.replace('EPOCHS', '9'))
    stopped = explain('benchmark', *bench(folder, grid)[1:])
    assert 'digits_split_ce_seed0.json was made with other settings' in stopped
    assert 'options.train_cfg.max_epochs was 8, is 9' in stopped
    for file in (folder / 'results/digits/runs').iterdir():
        file.unlink()
    stopped = explain('benchmark', *bench(folder, grid)[1:])
    assert '2 of 2 experiments failed' in stopped
    assert 'work/digits_split_ce_seed0 was made with other settings' in stopped
    assert trained == {file: file.stat().st_mtime_ns for file in trained}


def test_a_failure_is_reported_and_the_rest_finished(tmp_path):
    grid = tmp_path / 'digits.py'
    text = GRID.replace('EPOCHS', '1')
    grid.write_text(
        text.replace(
            'metric=True', "metric=True, options={'model.head.metric_weight': -1}"
        )
    )
    message = fail(*bench(tmp_path, grid))
    assert '1 of 2 experiments failed; the same command tries them again' in message
    assert 'digits_split_triplet_seed0: ValueError: metric_weight=-1' in message
    assert 'ce + crt' in (tmp_path / 'page.md').read_text()


@pytest.fixture
def folds(tmp_path):
    """Write a data set of two folds."""
    rows = rows_of(['a', 'b', 'c'], {'train': 8})
    for number, row in enumerate(rows):
        for fold in (0, 1):
            part = (number + fold) % 4
            row[f'fold{fold}'] = 'test' if part < 1 else 'val' if part < 2 else 'train'
    return write_index(tmp_path / 'set', rows, 8)


def test_cross_validation(folds, tmp_path):
    cfg = Config.fromfile(CONFIGS / 'digits_lt/stage1_ce.py')
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=(8, 8)),
        dict(type='PackInputs'),
    ]
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].dataset = dict(
            type='mmimbal.CSVDataset',
            data_root=str(folds),
            split=split,
            test_mode=split != 'train',
            pipeline=pipeline,
        )
    cfg.model.head.num_classes = 3
    cfg.dump(tmp_path / 'leaf.py')
    command = ['tools/cross_validate.py', tmp_path / 'leaf.py', '--work-dir']
    command += [tmp_path / 'cv', '--folds']
    flags = ['--amp', '--cfg-options', *OPTIONS]
    output = succeed(*command, 2, *flags)
    parts = [load_predictions(tmp_path / 'cv' / f'fold{k}.npz') for k in (0, 1)]
    files = {file for part in parts for file in part.files.tolist()}
    assert (
        len(files) == 12
        and 'AmpOptimWrapper'
        in parts[0].about['config']
        + (tmp_path / 'cv' / 'fold0' / 'leaf.py').read_text()
    )
    summary = json.loads((tmp_path / 'cv' / 'cross_validation.json').read_text())
    found = summary['balanced_accuracy']
    values = [summarise(p.scores, p.labels, p.classes) for p in parts]
    assert found['folds'] == [value['balanced_accuracy'] for value in values]
    labels = np.concatenate([part.labels for part in parts])
    scores = np.concatenate([part.scores for part in parts])
    pooled = summarise(scores, labels, parts[0].classes)['balanced_accuracy']
    assert found['pooled'] == pytest.approx(pooled)
    assert found['interval'][0] <= pooled <= found['interval'][1]
    assert '12 test images in 12 groups' in output

    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / 'cv').rglob('*.*')}
    assert explain('cross_validate', *command[1:], 2, *flags) is None
    for file, written in kept.items():
        assert file.stat().st_mtime_ns == written or file.suffix == '.json'
    message = explain('cross_validate', *command[1:], 2)
    assert f'{tmp_path / "cv"} was made with other settings: flags was' in message
    message = explain('cross_validate', *command[1:], 3, *flags)
    assert 'cross_validate: ' in message and 'has no column fold2' in message


def test_a_fold_without_a_class_keeps_its_place():
    random = np.random.default_rng(0)

    def part(labels):
        files = np.array([f'{len(labels)}_{n}' for n in range(len(labels))])
        scores = random.dirichlet(np.ones(3), len(labels))
        return Predictions(scores, np.array(labels), files, files, ('a', 'b', 'c'))

    parts = [part([0, 1, 0, 1]), part([0, 1, 2, 2, 2])]
    report = runpy.run_path(str(ROOT / 'tools/cross_validate.py'))['report']
    summary, table = report(parts)
    recall = summary['recall/c']
    right = (parts[1].scores[2:].argmax(1) == 2).mean()
    assert recall['folds'] == [None, pytest.approx(100 * right)]
    assert recall['sd'] is None and recall['mean'] == recall['folds'][1]
    assert f'{100 * right:.1f} (of 1)' in table
    assert '±' not in report(parts[1:])[1]


def test_folds_of_stage_2_need_stage_1_of_each(tmp_path):
    leaf = CONFIGS / 'digits_lt/stage2_crt.py'
    custom = tmp_path / 'custom.py'
    hook = dict(type='mmimbal.TwoStageHook', stage1='somewhere')
    custom.write_text(f'_base_ = {str(CONFIGS / "digits_lt/stage1_ce.py")!r}\n')
    with open(custom, 'a') as file:
        file.write(f'custom_hooks = [{hook}]\n')
    for config in (leaf, custom):
        message = explain('cross_validate', config, '--work-dir', tmp_path)
        assert 'name its config with --stage1-config' in message
    nameless = tmp_path / 'nameless.py'  # of its work dir, as MMPretrain's are
    nameless.write_text(f'custom_hooks = [{hook}]\n')
    message = explain('cross_validate', nameless)
    assert 'name its config with --stage1-config' in message


def test_bases_and_options_of_folds_go_to_their_stage(tmp_path, monkeypatch):
    """The commands, as stage 2 by other means is trained and tested on a fold."""
    tool = runpy.run_path(str(ROOT / 'tools/cross_validate.py'))
    commands = []
    module = tool['run_fold'].__globals__
    monkeypatch.setitem(module, 'run', lambda command, log: commands.append(command))
    monkeypatch.setitem(module, 'load_predictions', lambda file: file)
    stage1, stage2 = (f'{CONFIGS}/isic/{name}.py' for name in LEAVES)
    bases = [
        'datasets/isic2018_224px=datasets/rbc12_224px',  # of both
        'stage2/crt=stage2/lws',
        'stage1/triplet=stage1/supcon',
    ]
    args = argparse.Namespace(
        config=stage2,
        stage1_config=stage1,
        base=bases,
        cfg_options=['model.head.num_classes=3'],
        stage1_cfg_options=['randomness.seed=1'],
    )
    assert tool['run_fold'](2, tmp_path, args, ['--amp']) == tmp_path / 'fold2.npz'
    flags = [
        [command[n + 1] for n, flag in enumerate(command) if flag == '--base']
        for command in commands
    ]
    assert flags == [bases[::2], bases[:2], bases[:2]]
    for command, option in zip(commands, ('randomness', 'model', 'model'), strict=True):
        options = command[command.index('--cfg-options') + 1 :]
        assert [part.split('=')[1] for part in options[:3]] == 3 * ['fold2']
        assert len(options) == 4 and options[3].startswith(option)
        assert '--amp' in command
    at = commands[1].index('--stage1')
    assert commands[1][at - 1 : at + 2] == [
        tmp_path / 'fold2',
        '--stage1',
        tmp_path / 'fold2_stage1',
    ]


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        (['--base', 'stage2/nothing=stage2/lws'], 'OLD is one of .*schedules/'),
        (['--stage1-cfg-options', 'x=1'], 'needs --stage1-config'),
    ],
)
def test_flags_of_folds_that_would_do_nothing(tmp_path, flags, message):
    leaf = CONFIGS / f'isic/{LEAVES[0]}.py'
    found = explain('cross_validate', leaf, '--work-dir', tmp_path, *flags)
    assert re.search(message, found)


def test_what_was_trained_before_took_no_time_of_this_call():
    """Or the time that remains would be told far too short."""
    run_all = runpy.run_path(str(ROOT / 'tools/benchmark.py'))['run_all']
    shares = {'a': 0.8, 'b': 0.0}
    one, two = (argparse.Namespace(name=name) for name in shares)
    seen = {}

    class Bar(tqdm):
        def __init__(self, **options):
            seen.update(options)
            super().__init__(**options)

    run_all.__globals__['tqdm'] = Bar
    bench = argparse.Namespace(
        share_done=lambda experiment: shares[experiment.name],
        run=lambda experiments: [(two, ''), (one, 'it broke')],
    )
    assert run_all(bench, [one, two]) == {'a': 'it broke'}
    assert seen['initial'] == pytest.approx(0.95 * 0.8) and seen['total'] == 2


def test_a_pattern_chooses_experiments(tmp_path):
    grid = tmp_path / 'digits.py'
    grid.write_text(GRID.replace('EPOCHS', '1'))
    succeed(*bench(tmp_path, grid), '--only', 'digits_split_ce_*')
    (found,) = (tmp_path / 'results/digits/runs').iterdir()
    assert found.name == 'digits_split_ce_seed0.json'
    message = explain('benchmark', *bench(tmp_path, grid)[1:], '--only', 'none')
    assert 'no such experiment; the first is digits_split_ce_seed0' in message
