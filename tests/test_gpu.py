"""On a GPU everything works as on a CPU, and gives the same up to rounding."""

import copy

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.structures import DataSample
from torch import nn

from mmimbal.datasets.views import MetricIndex
from mmimbal.evaluation.predictions import load_predictions
from mmimbal.files.checkpoint import load_from_local
from mmimbal.models.losses import BatchAllTripletLoss
from mmimbal.models.needs import give_epoch
from mmimbal.registry import MODELS
from tests.conftest import CONFIGS
from tests.tools import OPTIONS, succeed

pytestmark = pytest.mark.gpu

STAGE1 = sorted(path.stem for path in (CONFIGS / '_base_/stage1').glob('*.py'))
REBALANCERS = sorted(
    path.stem
    for path in (CONFIGS / '_base_/stage2').glob('*.py')
    if 'stage2_fit' not in path.read_text()
)
# Processes of their own: a fork of one that has used a GPU cannot use it.
ENV = {'CUBLAS_WORKSPACE_CONFIG': ':4096:8'}
CPU = {'CUDA_VISIBLE_DEVICES': ''}
LEAF = 'configs/digits_lt/stage1_triplet.py'
EXACT = [*OPTIONS[:-1], 'train_cfg.max_epochs=3', 'randomness.deterministic=True']


def losses_of(head: dict, device: str) -> tuple[dict, torch.Tensor]:
    """Return the losses of a head in two epochs, and the gradient of the features."""
    torch.manual_seed(0)
    head = MODELS.build(copy.deepcopy(head))
    head.init_weights()
    labels = torch.arange(192) % 7
    features = torch.randn(192, 32) + labels[:, None]
    for module in head.modules():
        if hasattr(module, 'set_class_counts'):
            module.set_class_counts(np.array([229, 359, 769, 80, 779, 4693, 100]))
        if hasattr(module, 'load_stage1'):
            stage1 = nn.Linear(32, 7).state_dict()
            module.load_stage1({f'fc.{key}': value for key, value in stage1.items()})
    head.to(device)
    features = features.to(device).requires_grad_()
    samples = [DataSample().set_gt_label(int(label)).to(device) for label in labels]
    if getattr(head, 'separate_views', False):  # two views of 64 images at the end
        for sample in samples[64:]:
            sample.set_metainfo(dict(sample_idx=MetricIndex(0)))
    for epoch in range(2):
        give_epoch(head.modules(), epoch, 2)
        losses = head.loss((features,), samples)
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    return {name: value.item() for name, value in losses.items()}, features.grad.cpu()


def compare(head: dict) -> None:
    found, gradient = losses_of(head, 'cuda')
    expected, of_cpu = losses_of(head, 'cpu')
    assert found == pytest.approx(expected, rel=2e-3, abs=1e-5)
    assert torch.linalg.norm(gradient - of_cpu) < 5e-3 * torch.linalg.norm(of_cpu)


@pytest.mark.parametrize('name', STAGE1)
def test_stage_1_computes_the_same(name):
    base = Config.fromfile(CONFIGS / f'_base_/stage1/{name}.py')
    compare(dict(base.head, num_classes=7, in_channels=32))


@pytest.mark.parametrize('name', [name for name in REBALANCERS if name != 'gcl'])
def test_rebalancers_compute_the_same(name):
    """All but GCL, which draws noise."""
    base = Config.fromfile(CONFIGS / f'_base_/stage2/{name}.py')
    compare(dict(base.stage2_head, num_classes=7, in_channels=32))


@pytest.mark.parametrize('size', [37, 1024])
@pytest.mark.parametrize('mining', ['all', 'semi_hard'])
@pytest.mark.parametrize('distance', ['CosineSimilarity', 'LpDistance'])
def test_triplets_are_those_of_the_cpu(size, mining, distance):
    random = np.random.default_rng(size)
    labels = torch.from_numpy(random.integers(0, 5, size))
    embeddings = torch.from_numpy(random.standard_normal((size, 16))).float()
    found = []
    for device in ('cuda', 'cpu'):
        loss = BatchAllTripletLoss(
            distance=dict(type=f'mmimbal.{distance}'), mining=mining
        )
        points = embeddings.to(device).requires_grad_()
        value = loss(points, labels.to(device))
        value.backward()
        found.append((value.item(), points.grad.cpu(), loss.active_share.item()))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-4)
    assert found[0][2] == pytest.approx(found[1][2], rel=1e-4)
    scale = torch.linalg.norm(found[1][1])
    assert torch.linalg.norm(found[0][1] - found[1][1]) < 1e-3 * scale


def train(folder, *flags, options=EXACT, env=ENV, leaf=LEAF):
    succeed(
        *('tools/train.py', leaf, '--work-dir', folder, *flags),
        *('--cfg-options', *options),
        env=env,
    )
    (newest,) = folder.glob('epoch_3.pth')
    return load_from_local(newest, 'cpu')['state_dict']


def test_the_same_seed_gives_the_same_bits_and_so_does_a_resumed_run(tmp_path):
    first = train(tmp_path / 'first')
    again = [*EXACT, 'default_hooks.checkpoint.max_keep_ckpts=5']
    train(tmp_path / 'again', options=again)
    (tmp_path / 'again/epoch_3.pth').unlink()
    resumed = train(tmp_path / 'again', '--resume', options=again)
    for name, value in first.items():
        assert torch.equal(value, resumed[name]), name


def test_mixed_precision_two_stages_and_predictions(tmp_path):
    train(tmp_path / 'stage1', '--amp')
    sweep = ['--methods', 'crt', 'tau_norm', '--seeds', '2', '--views', '2']
    output = succeed('tools/stage2_sweep.py', tmp_path / 'stage1', *sweep, env=ENV)
    assert 'crt' in output and 'tau_norm' in output
    stage2 = 'configs/digits_lt/stage2_crt.py'
    from_stage1 = ['--stage1', tmp_path / 'stage1']
    train(tmp_path / 'stage2', *from_stage1, leaf=stage2)
    for name, env in (('cuda', ENV), ('cpu', CPU)):
        succeed(
            *('tools/test.py', stage2, tmp_path / 'stage2', '--embeddings'),
            *('--out', tmp_path / f'{name}.npz', '--work-dir', tmp_path / name),
            *('--cfg-options', *OPTIONS),
            env=env,
        )
    found, expected = (load_predictions(tmp_path / f'{n}.npz') for n in ('cuda', 'cpu'))
    assert found.scores == pytest.approx(expected.scores, abs=1e-3)
    assert found.embeddings == pytest.approx(expected.embeddings, rel=1e-2, abs=1e-3)


def test_a_single_run_switches_stages(tmp_path):
    options = [*OPTIONS[:-1], 'train_cfg.max_epochs=3']
    options.append('default_hooks.two_stage.epoch=2')
    leaf = 'configs/digits_lt/two_stage_triplet_crt.py'
    last = train(tmp_path / 'run', options=options, leaf=leaf)
    switch = load_from_local(tmp_path / 'run/epoch_2.pth', 'cpu')['state_dict']
    frozen = [name for name in last if name.startswith('backbone.')]
    assert frozen and all(torch.equal(last[name], switch[name]) for name in frozen)
    assert not torch.equal(last['head.fc.weight'], switch['head.fc.weight'])


def test_stage_2_on_cached_features(tmp_path):
    """Labels must be on the GPU, too: MMPretrain's samples move some to the CPU."""
    train(tmp_path / 'stage1')
    leaf = tmp_path / 'cached.py'
    base = CONFIGS / 'digits_lt/stage2_crt.py'
    loop = "dict(_delete_=True, type='mmimbal.CachedFeaturesTrainLoop', max_epochs=3)"
    leaf.write_text(f"_base_ = '{base}'\ntrain_cfg = {loop}\n")
    from_stage1 = ['--stage1', tmp_path / 'stage1']
    first = train(tmp_path / 'run', *from_stage1, leaf=leaf)
    again = train(
        tmp_path / 'again', *from_stage1, leaf='configs/digits_lt/stage2_crt.py'
    )
    assert first.keys() == again.keys()
    for name, value in first.items():
        if not name.startswith('head.'):
            assert torch.equal(value, again[name]), name
    assert first['head.fc.weight'].isfinite().all()
