"""Sweeps over ways of stage 2, and what is published of them, as a user does it."""

import json
import runpy

import numpy as np
import pytest
import torch
from mmpretrain import ImageClassificationInferencer

from mmimbal.engine.test_run.curves import read_curves
from mmimbal.evaluation.predictions import load_predictions
from mmimbal.files.checkpoint import load_from_local, safe_loading
from tests.conftest import ROOT
from tests.tools import OPTIONS, succeed


@pytest.fixture(scope='module')
def stage1(tmp_path_factory):
    """Return the work dir of a stage 1 trained by the tool, in mixed precision."""
    work_dir = tmp_path_factory.mktemp('stage1')
    leaf = 'configs/digits_lt/stage1_triplet.py'
    flags = ['--work-dir', work_dir, '--amp', '--cfg-options', *OPTIONS]
    succeed('tools/train.py', leaf, *flags)
    return work_dir


@pytest.fixture(scope='module')
def swept(stage1, tmp_path_factory):
    """Return the folder of a sweep over the stage 1, and what the tool said."""
    folder = tmp_path_factory.mktemp('sweep')
    methods = ['--methods', 'crt', 'lws', 'nearest_mean']
    flags = [*methods, '--seeds', 2, '--views', 2, '--work-dir', folder]
    flags += ['--checkpoints', 'crt:1', 'lws', '--predictions']
    return folder, flags, succeed('tools/stage2_sweep.py', stage1, *flags)


def test_sweep_table(swept):
    folder, _, output = swept
    table = (folder / 'sweep.txt').read_text()
    assert table in output and 'Batch norm frozen, 2 views' in table
    summary = json.loads((folder / 'sweep.json').read_text())
    assert summary['batch_norm'] == 'frozen' and summary['seconds']['heads'] > 0
    rows = {row['method']: row for row in summary['rows']}
    assert rows.keys() == {'crt', 'lws', 'nearest_mean', "stage 1's classifier"}
    assert [len(row['seeds']) for row in rows.values()].count(2) == 2
    seeds = rows['crt']['seeds']
    mean = sum(seed['test']['balanced_accuracy'] for seed in seeds) / 2
    line = next(line for line in table.splitlines() if line.startswith('crt'))
    assert f' {mean:.1f} ± ' in line and rows['crt']['chosen'] in line


def test_sweep_goes_on_where_it_stopped(stage1, swept):
    folder, flags, _ = swept
    heads = sorted((folder / 'heads').glob('crt*'))
    before = {file: file.stat().st_mtime_ns for file in heads}
    assert len(heads) == 5  # four learning rates, and the best with another seed
    heads[0].unlink()
    table = (folder / 'sweep.txt').read_text()
    succeed('tools/stage2_sweep.py', stage1, *flags)
    after = {file: file.stat().st_mtime_ns for file in heads}
    assert after.pop(heads[0]) and before.pop(heads[0])  # it is there again
    assert after == before and (folder / 'sweep.txt').read_text() == table


def test_a_sweep_may_leave_the_test_images_alone(stage1, tmp_path):
    flags = ['--methods', 'crt', '--seeds', 1, '--views', 1, '--work-dir', tmp_path]
    succeed('tools/stage2_sweep.py', stage1, *flags, '--validation-only')
    summary = json.loads((tmp_path / 'sweep.json').read_text())
    for row in summary['rows']:
        (found,) = row['seeds']
        assert found['test'] is None and found['val']['balanced_accuracy'] > 0
    table = (tmp_path / 'sweep.txt').read_text().split('Values are of one seed')[1]
    assert 'recalls on val' in table and 'test' not in table
    assert not [file for file in tmp_path.rglob('*') if 'test' in file.name]


def test_checkpoints_of_a_sweep_are_ordinary(stage1, swept, tmp_path):
    folder, *_ = swept
    out, scores = tmp_path / 'metrics.json', tmp_path / 'scores.npz'
    for name, seed in (('crt_seed1', 1), ('lws_seed0', 0)):
        files = [folder / f'{name}.py', folder / f'{name}.pth']
        succeed('tools/test.py', *files, '--out', out, scores, '--work-dir', tmp_path)
        rows = json.loads((folder / 'sweep.json').read_text())['rows']
        row = next(row for row in rows if row['method'] == name[:3])
        expected = row['seeds'][seed]['test']
        found = json.loads(out.read_text())
        assert {key: found[key] for key in expected} == pytest.approx(expected)
        # Predictions of the sweep tell this model, and no other.
        tested = load_predictions(scores).about
        assert (
            load_predictions(folder / f'predictions/{name}.npz').about['model']
            == tested['model']
        )
    models = {
        load_predictions(file).about['model']
        for file in (folder / 'predictions').glob('*.npz')
    }
    assert len(models) == len(list((folder / 'predictions').glob('*.npz')))
    curves = load_predictions(scores).about['curves']  # of stage 1
    assert curves['loss_metric'].keys() == {'1'}
    assert curves == json.loads(json.dumps(read_curves(stage1)))


INFER = """
import sys
{block}
import numpy as np
from mmpretrain import ImageClassificationInferencer
inferencer = ImageClassificationInferencer(*sys.argv[1:], device='cpu')
result = inferencer(np.full((8, 8, 3), 90, np.uint8))[0]
print('mmimbal' in sys.modules and sys.modules['mmimbal'] is not None)
print(result['pred_class'], *result['pred_scores'])
"""


def infer(tmp_path, files, block=''):
    script = tmp_path / 'infer.py'
    script.write_text(INFER.format(block=block))
    lines = succeed(script, *files).splitlines()
    found = next(i for i, line in enumerate(lines) if line.endswith(('True', 'False')))
    name, *scores = lines[found + 1].split()
    assert name in '0123456789' and len(scores) == 10
    return lines[found].endswith('True'), [float(score) for score in scores]


def test_published_checkpoints_load_in_plain_mmpretrain(stage1, tmp_path):
    """Also the triplet head of stage 1, which predicts like any linear one."""
    output = succeed('tools/publish.py', stage1, tmp_path / 'out' / 'digits.pth')
    assert 'needs only MMPretrain' in output
    files = [tmp_path / 'out' / 'digits.py', tmp_path / 'out' / 'digits.pth']
    imported, scores = infer(tmp_path, files, block="sys.modules['mmimbal'] = None")
    assert not imported
    with safe_loading():
        inferencer = ImageClassificationInferencer(
            str(next(stage1.glob('*.py'))),
            pretrained=str(next(stage1.glob('best_*.pth'))),
            device='cpu',
        )
    expected = inferencer(np.full((8, 8, 3), 90, np.uint8))[0]['pred_scores']
    assert scores == pytest.approx(expected, abs=1e-6)


def test_a_published_head_of_ours_brings_the_plug_in(swept, tmp_path):
    folder, *_ = swept
    output = succeed('tools/publish.py', folder / 'lws_seed0.pth', tmp_path / 'lws.pth')
    assert 'needs mmimbal' in output
    assert infer(tmp_path, [tmp_path / 'lws.py', tmp_path / 'lws.pth'])[0]


def test_mistakes_of_a_sweep_are_explained(stage1, tmp_path, monkeypatch):
    def message(tool, *arguments):
        path = str(ROOT / 'tools' / f'{tool}.py')
        monkeypatch.setattr('sys.argv', [path, *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            runpy.run_path(path, run_name='__main__')
        return stopped.value.code

    def sweep(*arguments):
        return message('stage2_sweep', stage1, '--work-dir', tmp_path, *arguments)

    nowhere = 'stage2_sweep: no checkpoint: nowhere does not exist'
    assert message('stage2_sweep', 'nowhere') == nowhere
    assert 'crt is named twice' in sweep(
        '--methods', 'crt', 'configs/_base_/stage2/crt.py'
    )
    assert 'no method crtt; known are balanced_softmax' in sweep('--methods', 'crtt')
    assert sweep('--views', 0) == 2  # of argparse
    found = sweep('--predictions', '--validation-only')
    assert '--predictions needs test images' in found
    found = sweep('--methods', 'crt', '--checkpoints', 'crt:7', '--seeds', 2)
    assert '--checkpoints crt:7 is not in the sweep; known are seeds 0, 1' in found
    found = sweep('--methods', 'knn', '--checkpoints', 'knn:1', '--seeds', 2)
    assert 'known are seeds 0' in found
    for option in ('train_cfg.max_epochs=7', 'model.head.topk=5', 'head.x=1'):
        found = sweep('--methods', 'crt', '--cfg-options', option)
        assert 'would have no effect' in found
    found = sweep('--metric', 'auc')
    assert '--metric auc is unknown; known are balanced_accuracy' in found
    other = tmp_path / 'x.pth'
    torch.save(dict(state_dict={}), other)
    assert 'or name it with --config' in message('stage2_sweep', other)
    config = ['--config', next(stage1.glob('*.py'))]
    assert 'another backbone or neck' in message('stage2_sweep', other, *config)
    out = tmp_path / 'out' / 'y.pth'
    found = message('publish', other, out, *config)
    assert 'does not fit the model' in found and 'backbone.conv1.weight' in found
    assert 'must end in .pth' in message('publish', stage1, tmp_path / 'y')
    assert 'choose another folder' in message('publish', stage1, stage1 / 'y.pth')
    trained = load_from_local(next(stage1.glob('best_*.pth')))
    trained['state_dict']['backbone.more'] = torch.ones(1)
    torch.save(trained, other)
    assert 'backbone.more' in message('publish', other, out, *config)
