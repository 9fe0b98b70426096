"""The command line, as a user meets it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import mmpretrain
import pytest
import torch
from mmpretrain import ImageClassificationInferencer

from tests.conftest import ROOT, rows_of, tiny_digits, train, write_index

OPTIONS = [
    'model.backbone.stem_channels=4',
    'model.backbone.base_channels=4',
    'model.head.in_channels=32',
    'train_cfg.max_epochs=1',
]


def run(*command, env=None, cwd=ROOT) -> subprocess.CompletedProcess:
    """Run a tool with this Python."""
    script, *arguments = map(str, command)
    interpreter = [] if script.endswith('.sh') else [sys.executable]
    path = f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
    return subprocess.run(
        [*interpreter, script, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'PATH': path, **(env or {})},
    )


def succeed(*command, **options) -> str:
    result = run(*command, **options)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout + result.stderr


def fail(*command, **options) -> str:
    result = run(*command, **options)
    assert result.returncode != 0
    return result.stderr


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
    inferencer = ImageClassificationInferencer(cfg, pretrained=str(checkpoint))
    files = [str(tmp_path / 'images' / row['file']) for row in rows]
    results = inferencer(files)
    weights = torch.load(checkpoint, weights_only=True)['state_dict']
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


@pytest.mark.slow
def test_demo(tmp_path):
    output = succeed('tools/demo.py', '--seeds', 1, '--work-dir', tmp_path)
    assert 'triplet + cRT' in output
    rows = json.loads((tmp_path / 'summary.json').read_text())['rows']
    keys = {'method', 'seed', 'balanced_accuracy', 'macro_f1', 'tail_recall'}
    assert len(rows) == 3 and all(row.keys() == keys for row in rows)
    assert (tmp_path / 'recall_by_count.png').stat().st_size > 10_000
