"""Recipes whose losses see different views: their control, averages, and stage 2."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner
from mmpretrain.registry import DATASETS

from mmimbal.command_line.compose import compose
from mmimbal.command_line.experiment import parse_experiment
from mmimbal.datasets.views import is_for_metric_loss
from mmimbal.engine.hooks import ClassCountsHook
from mmimbal.evaluation.predictions import load_predictions
from mmimbal.files.checkpoint import load_from_local
from mmimbal.models.losses.balanced_contrastive import BalancedContrastiveLoss
from mmimbal.registry import MODELS
from mmimbal.stage2.config import with_one_view
from tests.conftest import TINY, tiny_digits, train
from tests.tools import explain


@MODELS.register_module()
class ZeroedLoss(BalancedContrastiveLoss):
    """A metric loss that is multiplied by 0."""

    def forward(self, *args, **kwargs):
        return 0.0 * super().forward(*args, **kwargs)


def recipe(tmp_path, stage1='bcl_views', **options) -> Config:
    """Return a recipe on digits, for 32 images and views of 16 others."""
    experiment = parse_experiment(f'digits_lt/digits/{stage1}')
    cfg = compose(experiment, work_dir=str(tmp_path))
    cfg.merge_from_dict(TINY)
    cfg.experiment_name = '_'.join(tmp_path.parts[1:])
    cfg.train_dataloader.batch_size = 48
    cfg.train_dataloader.batch_sampler.natural_size = 32
    cfg.merge_from_dict({k.replace('__', '.'): v for k, v in options.items()})
    return cfg


def test_the_control_takes_the_steps_of_a_metric_loss_times_zero(tmp_path):
    control = train(recipe(tmp_path / 'control', model__head__metric_weight=0.0))
    zeroed = train(
        recipe(tmp_path / 'zeroed', model__head__metric_loss__type='mmimbal.ZeroedLoss')
    )
    ours, expected = (run.model.state_dict() for run in (control, zeroed))
    seen = [key for key in ours if 'projection' not in key and 'metric_loss' not in key]
    assert any(key.startswith('backbone') and 'running' in key for key in seen)
    assert all(ours[key].equal(expected[key]) for key in seen)


def test_the_control_without_views_takes_other_steps(tmp_path):
    """Batch normalization sees the views: they are part of the control."""
    control = train(recipe(tmp_path / 'control', model__head__metric_weight=0.0))
    alone = recipe(tmp_path / 'alone', model__head__metric_weight=0.0)
    alone.train_dataloader.batch_sampler = None
    alone.train_dataloader.batch_size = 32
    alone = train(alone)
    ours, other = (run.model.backbone.state_dict() for run in (control, alone))
    assert not all(ours[key].equal(other[key]) for key in ours)


def test_the_weight_of_the_metric_loss_falls_to_the_last_epoch(tmp_path):
    runner = train(recipe(tmp_path, model__head__final_metric_weight=0.25))
    weight = runner.model.head.metric_weight
    assert (weight.epoch, weight.max_epochs, weight.value()) == (1, 2, 0.25)


def test_in_a_single_run_it_falls_to_the_end_of_stage_1(tmp_path):
    seen = []

    class Watch(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            weight = runner.model.head.metric_weight
            seen.append((runner.epoch, weight.max_epochs, weight.value()))

    cfg = tiny_digits('two_stage_triplet_crt', tmp_path, train_cfg__max_epochs=3)
    cfg.default_hooks.two_stage.epoch = 2
    cfg.model.head.final_metric_weight = 0.25
    train(cfg, Watch())
    assert set(seen) == {(0, 2, 1.0), (1, 2, 0.25), (2, 1, 0.0)}


def test_stage_2_starts_from_averaged_weights(tmp_path):
    """One line of config: EMAHook. Best and last checkpoints hold the averages."""
    cfg = recipe(tmp_path / 'stage1')
    cfg.custom_hooks = [dict(type='EMAHook', momentum=0.1)]
    averages = train(cfg)
    (hook,) = (hook for hook in averages.hooks if isinstance(hook, EMAHook))
    expected = hook.ema_model.module.state_dict()
    trained = averages.model.state_dict()
    stage1 = tmp_path / 'stage1' / 'epoch_2.pth'
    cfg = tiny_digits('stage2_crt', tmp_path / 'stage2')
    cfg.default_hooks.two_stage.stage1 = str(stage1)
    found = train(cfg).model.state_dict()
    weights = [
        key for key in found if key.startswith('backbone') and key.endswith('weight')
    ]
    assert weights
    for key in weights:
        assert found[key].equal(expected[key])
    assert not all(found[key].equal(trained[key]) for key in weights)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            dict(model__head__separate_views=False),
            'separate_views=True, but the head BalancedContrastiveClsHead has '
            'separate_views=False',
        ),
        (
            dict(train_dataloader__batch_sampler__separate_views=False),
            'separate_views=False, but the head BalancedContrastiveClsHead has '
            'separate_views=True',
        ),
        (
            dict(
                model__head=dict(
                    _delete_=True, type='LinearClsHead', num_classes=10, in_channels=32
                )
            ),
            r'the head LinearClsHead has separate_views=False.*Only mmimbal\.Metric',
        ),
    ],
)
def test_views_that_the_head_cannot_use_are_refused_before_training(
    tmp_path, changes, message
):
    with pytest.raises(ValueError, match=message):
        train(recipe(tmp_path, **changes))
    assert not list(tmp_path.glob('*.pth'))


def test_heads_are_trained_on_mild_views(tmp_path):
    """Without RandAugment, as they are without Mixup."""
    cfg = recipe(tmp_path)
    steps = with_one_view(cfg.train_dataloader.dataset).pipeline
    assert [step['type'] for step in steps] == ['RandomCrop', 'PackInputs']


def test_averages_beside_a_projection_with_batch_norm(tmp_path):
    """The copy of the model has the buffers of the model, before and after a step."""
    cfg = recipe(tmp_path, model__head__batch_norm=True, model__head__hidden_size=24)
    cfg.custom_hooks = [dict(type='EMAHook', momentum=0.1, update_buffers=True)]
    runner = train(cfg)
    (hook,) = (hook for hook in runner.hooks if isinstance(hook, EMAHook))
    copied = [name for name, _ in hook.ema_model.module.named_buffers()]
    assert copied == [name for name, _ in runner.model.named_buffers()]
    assert runner.model.head.loss_module.class_counts is not None


@pytest.mark.parametrize('stage1', ['gpaco', 'proco'])
def test_averages_beside_losses_with_class_counts_and_buffers(stage1, tmp_path):
    cfg = compose(
        parse_experiment(f'digits_lt/digits/{stage1}'), work_dir=str(tmp_path)
    )
    cfg.merge_from_dict({**TINY, 'train_cfg.max_epochs': 1})
    cfg.custom_hooks = [dict(type='EMAHook', momentum=0.1)]
    train(cfg)
    state = load_from_local(tmp_path / 'epoch_1.pth')
    name = 'backbone.conv1.weight'
    last, average = state['ema_state_dict'][f'module.{name}'], state['state_dict'][name]
    assert not last.equal(average)


@pytest.mark.parametrize('is_default', [False, True])
def test_the_tested_weights_are_the_averages(is_default, tmp_path):
    cfg = recipe(tmp_path / 'run')
    hook = dict(type='EMAHook', momentum=0.1)
    if is_default:
        cfg.default_hooks.averages = hook
    else:
        cfg.custom_hooks = [hook]
    train(cfg)
    checkpoint, out = tmp_path / 'run' / 'epoch_2.pth', tmp_path / 'out.npz'
    cfg.dump(tmp_path / 'config.py')
    flags = ['--work-dir', tmp_path / 'test', '--out', out]
    assert explain('test', tmp_path / 'config.py', checkpoint, *flags) is None
    model = MODELS.build(cfg.model)
    state = load_from_local(checkpoint)
    model.load_state_dict(state['state_dict'])
    images = runner_images(cfg)
    with torch.no_grad():
        expected = model.eval()(
            **model.data_preprocessor(dict(inputs=images)), mode='tensor'
        )
        expected = expected.softmax(1)
    found = load_predictions(out).scores
    assert np.allclose(found, expected, atol=1e-5)
    last = state['ema_state_dict']  # here mmengine keeps the weights of the last step
    assert not last['module.backbone.conv1.weight'].equal(
        state['state_dict']['backbone.conv1.weight']
    )


def runner_images(cfg: Config) -> torch.Tensor:
    """Return the test images of a config, (N, C, H, W)."""
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    return torch.stack([dataset[n]['inputs'] for n in range(len(dataset))])


def test_neither_loss_sees_the_views_of_the_other(tmp_path):
    """Gradients of images, through a net whose norms do not mix them."""
    cfg = recipe(tmp_path)
    cfg.model.backbone.norm_cfg = dict(type='GN', num_groups=2)
    runner = Runner.from_cfg(cfg)
    batch = next(iter(runner.train_dataloader))
    runner.model.eval()  # no batch statistics anywhere
    for hook in (h for h in runner.hooks if isinstance(h, ClassCountsHook)):
        hook.before_train(runner)
    data = runner.model.data_preprocessor(batch, True)
    images = data['inputs'].requires_grad_()
    losses = runner.model(images, data['data_samples'], mode='loss')
    of_metric = torch.tensor([is_for_metric_loss(s) for s in data['data_samples']])
    assert of_metric.any() and not of_metric.all()
    for name, seen in (('loss_cls', ~of_metric), ('loss_metric', of_metric)):
        (gradient,) = torch.autograd.grad(losses[name], images, retain_graph=True)
        reached = gradient.flatten(1).abs().sum(1) > 0
        assert reached.equal(seen)
