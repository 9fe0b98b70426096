"""The command line, as a user meets it."""

import json
import os
import runpy
import sys
from pathlib import Path

import mmpretrain
import pytest
import torch
from mmengine.config import Config
from mmpretrain import ImageClassificationInferencer

from mmimbal.evaluation.curves import read_curves
from mmimbal.evaluation.predictions import load_predictions
from mmimbal.files.checkpoint import load_from_local, safe_loading
from tests.conftest import ROOT, rows_of, tiny_digits, train, write_index
from tests.tools import OPTIONS, fail, run, succeed


@pytest.fixture(scope='module')
def stage1(tmp_path_factory):
    """Return the work dir of a stage 1 trained by the tool, in mixed precision."""
    work_dir = tmp_path_factory.mktemp('stage1')
    leaf = 'configs/digits_lt/stage1_triplet.py'
    flags = ['--work-dir', work_dir, '--amp', '--cfg-options', *OPTIONS]
    succeed('tools/train.py', leaf, *flags)
    return work_dir


def test_train_resume_stage_2_and_test(stage1, tmp_path):
    leaf = 'configs/digits_lt/stage2_crt.py'
    flags = ['--stage1', stage1, '--work-dir', tmp_path / 'run', '--cfg-options']
    succeed('tools/train.py', leaf, *flags, *OPTIONS)
    longer = [*OPTIONS[:-1], 'train_cfg.max_epochs=2']
    output = succeed('tools/train.py', leaf, '--resume', *flags, *longer)
    assert 'resumed epoch: 1' in output
    out = tmp_path / 'metrics.json'
    flags = ['--out', out, '--amp', '--work-dir', tmp_path / 't', '--cfg-options']
    succeed('tools/test.py', leaf, tmp_path / 'run', *flags, *OPTIONS)
    assert 0 <= json.loads(out.read_text())['balanced_accuracy'] <= 100


def test_flags_of_mmpretrain(tmp_path, stage1):
    leaf = 'configs/digits_lt/stage1_ce.py'
    flags = ['--auto-scale-lr', '--no-validate', '--work-dir', tmp_path]
    output = succeed('tools/train.py', leaf, *flags, '--cfg-options', *OPTIONS)
    assert 'based on batch size of 64' in output
    assert (tmp_path / 'epoch_1.pth').exists() and 'Epoch(val)' not in output


def test_stage_1_of_a_hook_in_custom_hooks_and_test(tmp_path, stage1):
    cfg = Config.fromfile(ROOT / 'configs/digits_lt/stage2_crt.py')
    cfg.custom_hooks = [cfg.default_hooks.pop('two_stage')]
    cfg.pop('work_dir')
    cfg.dump(tmp_path / 'mine.py')
    flags = ['--stage1', stage1, '--cfg-options', *OPTIONS]
    succeed(ROOT / 'tools/train.py', tmp_path / 'mine.py', *flags, cwd=tmp_path)
    run = tmp_path / 'work_dirs/mine'
    assert (run / 'epoch_1.pth').exists()
    config = (run / 'mine.py').read_text()  # which publishing reads
    flags = ['--amp', '--cfg-options', *OPTIONS]
    succeed(ROOT / 'tools/test.py', tmp_path / 'mine.py', run, *flags, cwd=tmp_path)
    assert (run / 'mine.py').read_text() == config
    assert 'fp16=True' in (run / 'test/mine.py').read_text()


def test_another_base(tmp_path):
    leaf = 'configs/digits_lt/stage1_triplet.py'
    flags = ['--base', 'stage1/triplet=stage1/circle']
    assert 'name its --work-dir' in fail('tools/train.py', leaf, *flags)
    flags += ['--work-dir', tmp_path, '--cfg-options', *OPTIONS]
    output = succeed('tools/train.py', leaf, *flags)
    assert 'mmimbal.CircleLoss' in output and (tmp_path / 'epoch_1.pth').exists()
    assert 'CircleLoss' in (tmp_path / 'stage1_triplet.py').read_text()


def test_dist_train_and_dist_test_work_on_a_cpu(tmp_path):
    leaf = 'configs/digits_lt/stage1_triplet.py'
    env = {'PORT': '29637'}
    flags = ['--work-dir', tmp_path, '--cfg-options', *OPTIONS]
    output = succeed('tools/dist_train.sh', leaf, 2, *flags, env=env)
    assert (tmp_path / 'epoch_1.pth').exists()
    output = succeed('tools/dist_test.sh', leaf, tmp_path, 2, *flags, env=env)
    assert 'balanced_accuracy' in output


@pytest.mark.parametrize('script', ['dist_train', 'dist_test', 'slurm_train'])
def test_scripts_explain_themselves(script):
    assert f'tools/{script}.sh' in fail(f'tools/{script}.sh', 'CONFIG')


def test_slurm_script_starts_torchrun_on_each_node(tmp_path):
    """With a stand-in for Slurm that runs the command where it is."""
    (tmp_path / 'srun').write_text(
        '#!/bin/bash\nwhile [[ $1 == --* ]]; do echo "$1"; shift; done\nexec "$@"\n'
    )
    (tmp_path / 'scontrol').write_text('#!/bin/bash\necho 127.0.0.1\n')
    for tool in tmp_path.iterdir():
        tool.chmod(0o755)
    path = f'{tmp_path}:{Path(sys.executable).parent}:{os.environ["PATH"]}'
    env = dict(
        PATH=path,
        GPUS_PER_NODE='2',
        SLURM_NNODES='1',
        SLURM_NODEID='0',
        SLURM_JOB_ID='123',
        SLURM_JOB_NODELIST='here',
    )
    leaf = 'configs/digits_lt/stage1_ce.py'
    flags = ['--work-dir', tmp_path / 'run', '--cfg-options', *OPTIONS]
    output = succeed('tools/slurm_train.sh', 'gpu', 'job', leaf, *flags, env=env)
    assert '--partition=gpu' in output and '--gres=gpu:2' in output
    assert (tmp_path / 'run' / 'last_checkpoint').exists()


def test_options_that_change_nothing_are_errors():
    leaf = 'configs/digits_lt/stage1_triplet.py'

    def message(option):
        return fail('tools/train.py', leaf, '--cfg-options', option).splitlines()[-1]

    assert "Did you mean 'model.head.metric_weight'?" in message('head.metric_weight=1')
    assert "Did you mean 'optim_wrapper'?" in message('optim_wraper.optimizer.lr=1')


def test_obvious_mistakes_are_explained(tmp_path):
    leaf = 'configs/digits_lt/stage2_crt.py'
    message = fail(
        'tools/train.py', leaf, '--stage1', 'nowhere', '--work-dir', tmp_path
    )
    assert 'nowhere does not exist' in message.splitlines()[-1]
    message = fail('tools/train.py', 'configs/nowhere.py')
    assert 'configs/nowhere.py' in message.splitlines()[-1]
    message = fail('tools/test.py', leaf, 'nowhere.pth')
    assert message.splitlines()[-1].endswith(
        'no checkpoint: nowhere.pth does not exist'
    )
    torch.save({'state_dict': torch.nn.Linear(2, 2).state_dict()}, tmp_path / 'x.pth')
    message = fail('tools/test.py', leaf, tmp_path / 'x.pth', '--work-dir', tmp_path)
    assert 'head.fc.weight' in message  # not scored
    leaf = 'configs/digits_lt/stage1_ce.py'
    message = fail('tools/train.py', leaf, '--stage1', 'x', '--work-dir', tmp_path)
    assert '--stage1 is for stage-2 configs' in message
    flags = [
        '--work-dir',
        tmp_path,
        '--cfg-options',
        'model.head.type=mmimbal.MetricClsHead',
    ]
    message = fail('tools/train.py', leaf, *flags)
    assert 'MetricLearningClsHead' in message.splitlines()[-1]


def test_mmpretrain_trains_the_example_with_its_own_tool(tmp_path):
    classes = ['akiec', 'bcc', 'bkl', 'df', 'mel', 'nv', 'vasc']
    write_index(
        tmp_path / 'isic2018', rows_of(classes, {'train': 2, 'val': 1, 'test': 1}), 32
    )
    tool = Path(mmpretrain.__file__).parent / '.mim/tools/train.py'
    output = succeed(
        tool,
        ROOT / 'configs/examples/resnet50_8xb32_isic2018.py',
        '--work-dir',
        tmp_path / 'run',
        '--cfg-options',
        'train_cfg.max_epochs=2',
        'custom_hooks.1.epoch=1',
        env={'MMIMBAL_DATA': str(tmp_path)},
        cwd=tmp_path,
    )
    assert 'Stage 2: froze backbone and neck' in output
    assert 'loss_metric' in output


def test_inferencer_of_mmpretrain_predicts_with_a_finished_checkpoint(tmp_path):
    cfg = tiny_digits('two_stage_triplet_crt', tmp_path)
    cfg.default_hooks.two_stage.epoch = 1
    train(cfg)
    checkpoint = tmp_path / 'epoch_2.pth'
    # An inferencer reads files or arrays; the digits' own pipeline starts from arrays.
    cfg.test_dataloader.dataset.pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=(8, 8)),
        dict(type='PackInputs'),
    ]
    rows = [{'file': f'{number}.png', 'label': 'a'} for number in range(2)]
    write_index(tmp_path / 'images', rows)
    with safe_loading():
        inferencer = ImageClassificationInferencer(cfg, pretrained=str(checkpoint))
    files = [str(tmp_path / 'images' / row['file']) for row in rows]
    results = inferencer(files)
    weights = load_from_local(checkpoint)['state_dict']
    assert inferencer.model.head.fc.weight.equal(weights['head.fc.weight'])
    assert [len(result['pred_scores']) for result in results] == [10, 10]
    assert results[0]['pred_class'] in '0123456789'


def test_prepare_dataset_then_a_step(tmp_path):
    source = write_index(
        tmp_path / 'src', rows_of(['b', 'a'], {'train': 3, 'val': 2, 'test': 2})
    )
    output = succeed(
        'tools/prepare_dataset.py', 'csv', '--src', source, '--out', tmp_path / 'out'
    )
    assert output.splitlines()[2].split() == ['train', '3', '3', '6']
    message = fail('tools/prepare_dataset.py', 'csv', '--src', tmp_path / 'nowhere')
    assert message.startswith('prepare_dataset: ')
    assert 'Traceback' not in message


@pytest.fixture(scope='module')
def swept(stage1, tmp_path_factory):
    """Return the folder of a sweep over the stage 1, and what the tool said."""
    folder = tmp_path_factory.mktemp('sweep')
    methods = ['--methods', 'crt', 'lws', 'nearest_mean']
    flags = [*methods, '--seeds', 2, '--views', 2, '--work-dir', folder]
    flags += ['--checkpoints', 'crt:1', 'lws']
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
    assert after.pop(heads[0]) != before.pop(heads[0])
    assert after == before and (folder / 'sweep.txt').read_text() == table


def test_a_sweep_may_leave_the_test_images_alone(stage1, tmp_path):
    flags = ['--methods', 'crt', '--seeds', 1, '--views', 1, '--work-dir', tmp_path]
    succeed('tools/stage2_sweep.py', stage1, *flags, '--validation-only')
    summary = json.loads((tmp_path / 'sweep.json').read_text())
    for row in summary['rows']:
        (found,) = row['seeds']
        assert found['test'] is None and found['val']['balanced_accuracy'] > 0
    table = (tmp_path / 'sweep.txt').read_text().split('deviation')[1]
    assert 'recall of each class on val' in table and 'test' not in table
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


SAFE = """
from mmimbal.files.checkpoint import safe_loading
safe_loading().__enter__()
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
    assert 'needs MMPretrain alone' in output
    files = [tmp_path / 'out' / 'digits.py', tmp_path / 'out' / 'digits.pth']
    imported, scores = infer(tmp_path, files, block="sys.modules['mmimbal'] = None")
    assert not imported
    leaf = next(stage1.glob('*.py'))
    trained = next(stage1.glob('best_*.pth'))
    imported, expected = infer(tmp_path, [leaf, trained], block=SAFE)
    assert imported and scores == pytest.approx(expected, abs=1e-6)


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
    assert 'crt twice' in sweep('--methods', 'crt', 'configs/_base_/stage2/crt.py')
    assert 'no method crtt; there are balanced_softmax' in sweep('--methods', 'crtt')
    assert 'at least 1' in sweep('--views', 0)
    found = sweep('--predictions', '--validation-only')
    assert '--predictions are of test images' in found
    found = sweep('--methods', 'crt', '--checkpoints', 'crt:7', '--seeds', 2)
    assert '--checkpoints crt:7 is no row; there are seeds 0, 1' in found
    found = sweep('--methods', 'knn', '--checkpoints', 'knn:1', '--seeds', 2)
    assert 'there are seeds 0' in found
    for option in ('train_cfg.max_epochs=7', 'model.head.topk=5', 'head.x=1'):
        found = sweep('--methods', 'crt', '--cfg-options', option)
        assert 'would change nothing' in found
    found = sweep('--metric', 'auc')
    assert 'no metric auc; there are balanced_accuracy' in found
    other = tmp_path / 'x.pth'
    torch.save(dict(state_dict={}), other)
    assert 'Name it with --config' in message('stage2_sweep', other)
    config = ['--config', next(stage1.glob('*.py'))]
    assert 'another backbone or neck' in message('stage2_sweep', other, *config)
    out = tmp_path / 'out' / 'y.pth'
    found = message('publish', other, out, *config)
    assert 'is not of this model' in found and 'backbone.conv1.weight' in found
    assert 'must end in .pth' in message('publish', stage1, tmp_path / 'y')
    assert 'choose another folder' in message('publish', stage1, stage1 / 'y.pth')
    trained = load_from_local(next(stage1.glob('best_*.pth')))
    trained['state_dict']['backbone.more'] = torch.ones(1)
    torch.save(trained, other)
    assert 'backbone.more' in message('publish', other, out, *config)


def test_check_dataset(tmp_path):
    splits = {'train': 12, 'val': 12, 'test': 12}
    folder = write_index(tmp_path / 'set', rows_of(['a', 'b'], splits), size=48)
    output = succeed('tools/check_dataset.py', folder)
    assert '0 kinds of errors, 0 of warnings' in output
    assert output.splitlines()[2].split() == ['train', '12', '12', '24']
    assert json.loads((folder / 'check.json').read_text())['errors'] == 0
    assert (folder / 'class_counts.png').stat().st_size > 5000
    (folder / 'images/val_a_3.png').write_bytes(b'')
    result = run('tools/check_dataset.py', folder)
    assert result.returncode == 1
    assert 'error: 1 images that cannot be decoded' in result.stdout
    assert 'images/val_a_3.png' in result.stdout
    message = fail('tools/check_dataset.py', tmp_path / 'nowhere')
    assert message.splitlines()[-1].startswith('check_dataset: no dataset at')
    assert 'Traceback' not in message


@pytest.mark.slow
def test_demo(tmp_path):
    output = succeed('tools/demo.py', '--seeds', 1, '--work-dir', tmp_path)
    assert 'triplet + cRT' in output
    rows = json.loads((tmp_path / 'summary.json').read_text())['rows']
    keys = {'method', 'seed', 'balanced_accuracy', 'macro_f1', 'tail_recall'}
    assert len(rows) == 3 and all(row.keys() == keys for row in rows)
    assert (tmp_path / 'recall_by_count.png').stat().st_size > 10_000
