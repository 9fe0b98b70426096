"""Training and testing on folds, as a user does it."""

import json

import numpy as np
import pytest
from mmengine.config import Config

from mmimbal.evaluation.metrics import summarise
from mmimbal.evaluation.predictions import load_predictions
from tests.conftest import CONFIGS, rows_of, write_index
from tests.tools import OPTIONS, explain, forked_jobs, succeed


@pytest.fixture
def folds(tmp_path):
    """Write a data set of two folds."""
    rows = rows_of(['a', 'b', 'c'], {'train': 8})
    for number, row in enumerate(rows):
        for fold in (0, 1):
            part = (number + fold) % 4
            row[f'fold{fold}'] = 'test' if part < 1 else 'val' if part < 2 else 'train'
    return write_index(tmp_path / 'set', rows, 8)


def test_a_mistyped_flag_is_refused_before_anything_is_written(tmp_path, capsys):
    command = ['digits_lt/digits/ce', '--work-dir', tmp_path / 'cv', '--no-val1date']
    assert explain('cross_validate', *command) == 2
    assert 'unrecognized arguments: --no-val1date' in capsys.readouterr().err
    assert not (tmp_path / 'cv').exists()


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
    with forked_jobs():
        output = succeed(*command, 2, *flags)
    parts = [load_predictions(tmp_path / 'cv' / f'fold{k}.npz') for k in (0, 1)]
    files = {file for part in parts for file in part.files.tolist()}
    assert len(files) == 12
    config = (tmp_path / 'cv' / 'fold0' / 'leaf.py').read_text()
    logs = ''.join(file.read_text() for file in (tmp_path / 'cv').glob('*.log'))
    # --amp goes to the trainings, whatever this CPU has.
    assert 'AmpOptimWrapper' in config or '--amp: this CPU has ' in logs
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
    assert 'cross_validate: ' in message and 'index.csv has 2 folds' in message

    index = folds / 'index.csv'
    index.write_text(index.read_text().replace(',a,', ',b,', 1))  # a corrected label
    message = explain('cross_validate', *command[1:], 2, *flags)
    assert 'was made with other settings: index.csv.fold0 was' in message
