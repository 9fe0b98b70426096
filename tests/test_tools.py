"""The command line, as a user meets it."""

import json
import re
from pathlib import Path

import mmpretrain
import pytest
import torch
from mmengine.config import Config
from mmpretrain import ImageClassificationInferencer

from mmimbal.command_line import run_config
from mmimbal.files.checkpoint import load_from_local, safe_loading
from mmimbal.files.lock import locked_work_dir
from tests.conftest import ROOT, rows_of, tiny_digits, train, write_index
from tests.tools import OPTIONS, explain, fail, run, succeed


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


def test_a_refused_run_leaves_the_work_dir_as_it_is(stage1):
    """Other tools read the config in it, beside its checkpoint."""
    leaf = 'configs/digits_lt/stage1_triplet.py'
    files = {file: file.read_bytes() for file in stage1.glob('*.*')}
    flags = ['--work-dir', stage1, '--cfg-options', *OPTIONS, 'train_cfg.max_epochs=3']
    message = fail('tools/train.py', leaf, *flags)
    assert message.startswith(f'train: {stage1} contains a run with another config.')
    assert re.search(r'\n\+.*max_epochs=3', message)
    assert {file: file.read_bytes() for file in stage1.glob('*.*')} == files


def test_the_printed_config_is_the_one_that_is_trained(stage1):
    leaf = 'configs/digits_lt/stage1_triplet.py'
    flags = ['--work-dir', stage1, '--amp', '--cfg-options', *OPTIONS]
    printed = run('tools/print_config.py', leaf, *flags)
    trained = (stage1 / 'stage1_triplet.py').read_text()
    assert printed.stdout.rstrip() == trained.rstrip()
    other = run('tools/print_config.py', leaf, *flags, 'train_cfg.max_epochs=3')
    assert Config.fromstring(other.stdout, '.py').train_cfg.max_epochs == 3


def test_flags_of_mmpretrain(tmp_path, stage1):
    leaf = 'configs/digits_lt/stage1_ce.py'
    flags = ['--auto-scale-lr', '--no-validate', '--work-dir', tmp_path]
    output = succeed('tools/train.py', leaf, *flags, '--cfg-options', *OPTIONS)
    assert 'based on batch size of 64' in output
    assert (tmp_path / 'epoch_1.pth').exists() and 'Epoch(val)' not in output


def test_stage_1_of_a_hook_in_custom_hooks_and_test(tmp_path, stage1, monkeypatch):
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
    for has_bf16 in (True, False):  # whatever this CPU has
        monkeypatch.setattr(run_config, 'can_use_amp', lambda known=has_bf16: known)
        tool = ROOT / 'tools/test.py'
        succeed(tool, tmp_path / 'mine.py', run, *flags, cwd=tmp_path)
        assert (run / 'mine.py').read_text() == config
        assert f'fp16={has_bf16}' in (run / 'test/mine.py').read_text()


def test_another_base(tmp_path):
    leaf = 'configs/digits_lt/stage1_triplet.py'
    flags = ['--base', 'stage1/triplet=stage1/circle', '--work-dir', tmp_path]
    flags += ['--cfg-options', *OPTIONS]
    output = succeed('tools/train.py', leaf, *flags)
    assert 'mmimbal.CircleLoss' in output and (tmp_path / 'epoch_1.pth').exists()
    (config,) = tmp_path.glob('*.py')
    assert 'CircleLoss' in config.read_text()


def test_options_that_change_nothing_are_errors():
    leaf = 'configs/digits_lt/stage1_triplet.py'

    def message(option):
        return fail('tools/train.py', leaf, '--cfg-options', option).splitlines()[-1]

    assert "Did you mean 'model.head.metric_weight'?" in message('head.metric_weight=1')
    assert "Did you mean 'optim_wrapper'?" in message('optim_wraper.optimizer.lr=1')


def test_obvious_mistakes_are_explained(tmp_path, monkeypatch):
    leaf = 'configs/digits_lt/stage2_crt.py'
    message = fail(
        'tools/train.py', leaf, '--stage1', 'nowhere', '--work-dir', tmp_path / 'run'
    )
    assert message == 'train: --stage1: no checkpoint: nowhere does not exist\n'
    assert not (tmp_path / 'run').exists()
    message = explain('train', 'configs/digits_lt/stage1_ce.py', '--resume', 'no.pth')
    assert message == 'train: no checkpoint at no.pth'
    monkeypatch.setenv('MMIMBAL_DATA', 'nowhere')
    (tmp_path / 'x.pth').touch()
    for command in (['train'], ['test', tmp_path / 'x.pth']):
        message = explain(command[0], 'isic2018/64px/ce', *command[1:])
        assert 'no dataset at nowhere/isic2018/index.csv. tools/prepare' in message
    monkeypatch.delenv('MMIMBAL_DATA')
    message = explain('train', 'configs/nowhere.py')
    assert message == 'train: no config configs/nowhere.py'
    message = explain('test', leaf, 'nowhere.pth')
    assert message == 'test: no checkpoint: nowhere.pth does not exist'
    torch.save({'state_dict': torch.nn.Linear(2, 2).state_dict()}, tmp_path / 'x.pth')
    message = fail('tools/test.py', leaf, tmp_path / 'x.pth', '--work-dir', tmp_path)
    assert 'is no checkpoint of' in message  # not scored
    assert 'source state_dict: weight, bias; missing keys in' in message
    leaf = 'configs/digits_lt/stage1_ce.py'
    message = fail('tools/train.py', leaf, '--stage1', 'x', '--work-dir', tmp_path)
    assert '--stage1 is for configs of stage 2' in message
    flags = [
        '--work-dir',
        tmp_path,
        '--cfg-options',
        'model.head.type=mmimbal.MetricClsHead',
    ]
    message = fail('tools/train.py', leaf, *flags)
    assert 'MetricLearningClsHead' in message.splitlines()[-1]


# ResNet-18 instead of 50, and a small one, on small images.
SMALL = [
    'model.backbone.depth=18',
    'model.backbone.stem_channels=8',
    'model.backbone.base_channels=8',
    'model.head.in_channels=64',
    'train_dataloader.num_workers=1',
    'train_dataloader.dataset.pipeline.1.scale=32',
    'val_dataloader.num_workers=1',
    'val_dataloader.dataset.pipeline.1.scale=36',
    'val_dataloader.dataset.pipeline.2.crop_size=32',
]


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
        *SMALL,
        env={'MMIMBAL_DATA': str(tmp_path)},
        cwd=tmp_path,
    )
    assert 'Stage 2: froze backbone and neck' in output
    assert 'loss_metric' in output
    output = succeed(
        tool.with_name('test.py'),
        tmp_path / 'run' / 'resnet50_8xb32_isic2018.py',
        tmp_path / 'run' / 'epoch_2.pth',
        '--tta',
        env={'MMIMBAL_DATA': str(tmp_path)},
        cwd=tmp_path,
    )
    assert 'balanced_accuracy' in output


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
    assert ['train', '3', '3', '6'] in [line.split() for line in output.splitlines()]
    message = fail('tools/prepare_dataset.py', 'csv', '--src', tmp_path / 'nowhere')
    assert message.startswith('prepare_dataset: ')
    assert 'Traceback' not in message


def test_check_dataset(tmp_path):
    splits = {'train': 12, 'val': 12, 'test': 12}
    folder = write_index(tmp_path / 'set', rows_of(['a', 'b'], splits), size=48)
    output = succeed('tools/check_dataset.py', folder)
    assert '0 kinds of errors, 0 kinds of warnings' in output
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


@pytest.mark.parametrize(
    ('launcher', 'name'),
    [
        ('none', 'RANK'),
        ('slurm', 'SLURM_PROCID'),
        ('mpi', 'OMPI_COMM_WORLD_RANK'),
    ],
)
@pytest.mark.parametrize('rank', ['0', '3'])
def test_only_the_first_rank_takes_the_work_dir(
    launcher, name, rank, tmp_path, monkeypatch
):
    """Before there is a process group, each launcher says the rank in its own way."""

    def build(_):
        raise SystemExit('built')

    monkeypatch.setenv(name, rank)
    monkeypatch.setattr(run_config, 'start_on_cpu', lambda cfg: None)
    monkeypatch.setattr('mmengine.runner.Runner.from_cfg', build)
    flags = ['--work-dir', tmp_path / 'run', '--launcher', launcher]
    with locked_work_dir(tmp_path / 'run'):
        message = explain('train', 'configs/digits_lt/stage1_ce.py', *flags)
    expected = 'train: another run trains in' if rank == '0' else 'built'
    assert message.startswith(expected)


def test_a_page_is_of_all_results_of_its_grid(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    grid = ROOT / 'configs/grids/adapter.py'
    message = explain('benchmark', grid, '--page-only', '--only', 'x')
    assert '--only is for running' in message and not list(tmp_path.iterdir())
