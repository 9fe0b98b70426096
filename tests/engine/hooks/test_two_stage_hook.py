import gc
import logging
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModule
from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.runner import Runner
from torch import nn

from mmimbal.datasets import (
    ClassBalancedSampler,
    CSVDataset,
    csv_dataset,
    get_class_counts,
    get_sampler,
)
from mmimbal.engine import ddp
from mmimbal.engine.hooks import TwoStageHook
from mmimbal.engine.stage2_parts import build_without_cache
from mmimbal.engine.test_run.tta import average_views, load_views
from mmimbal.files.checkpoint import load_from_local
from mmimbal.registry import MODELS
from tests.conftest import log_of, rows_of, tiny_digits, train, write_index


@pytest.fixture(scope='module')
def stage1(tmp_path_factory):
    """Return the work dir of a stage 1."""
    folder = tmp_path_factory.mktemp('stage1')
    train(tiny_digits('stage1_triplet', folder))
    return folder


def stage2_config(work_dir, stage1, **options) -> Config:
    cfg = tiny_digits('stage2_crt', work_dir, **options)
    cfg.default_hooks.two_stage.stage1 = str(stage1)
    return cfg


def single_config(work_dir, **options) -> Config:
    """Return a single run: epochs 0 and 1 are stage 1, epochs 2 and 3 stage 2."""
    options = {
        'default_hooks__two_stage__epoch': 2,
        'train_cfg__max_epochs': 4,
    } | options
    return tiny_digits('two_stage_triplet_crt', work_dir, **options)


def best(work_dir) -> Path:
    return next(Path(work_dir).glob('best_*.pth'))


def state(path) -> dict[str, torch.Tensor]:
    return load_from_local(path)['state_dict']


def is_frozen(key: str) -> bool:
    return key.startswith(('backbone', 'neck'))


def test_run_of_its_own_keeps_the_backbone_to_the_bit(stage1, tmp_path):
    train(stage2_config(tmp_path, stage1))
    before, after = state(best(stage1)), state(tmp_path / 'epoch_2.pth')
    frozen = [key for key in after if is_frozen(key)]
    assert len(frozen) > 50
    assert all(after[key].equal(before[key]) for key in frozen)


def test_head_starts_fresh_and_the_backbone_survives_initialisation(stage1, tmp_path):
    """The checkpoint holds a head of the same shape; it must not come along."""
    seen = {}

    class Look(TwoStageHook):
        def before_train_epoch(self, runner):
            seen.update({k: v.clone() for k, v in runner.model.state_dict().items()})
            runner.train_loop.stop_training = True

    cfg = stage2_config(tmp_path, stage1, train_cfg__max_epochs=1)
    del cfg.default_hooks.two_stage
    runner = Runner.from_cfg(cfg)
    runner.register_hook(Look(stage1=str(stage1)))
    runner.train()
    before = state(best(stage1))
    assert seen['head.fc.weight'].shape == before['head.fc.weight'].shape
    assert not seen['head.fc.weight'].equal(before['head.fc.weight'])
    assert seen['head.fc.weight'].std() < 0.03
    assert all(seen[key].equal(before[key]) for key in seen if is_frozen(key))


def test_batch_norm_may_be_updated(stage1, tmp_path):
    train(stage2_config(tmp_path, stage1, default_hooks__two_stage__bn='updated'))
    before, after = state(best(stage1)), state(tmp_path / 'epoch_2.pth')
    changed = {
        key for key in after if is_frozen(key) and not after[key].equal(before[key])
    }
    assert 'backbone.bn1.running_mean' in changed
    statistics = ('running_mean', 'running_var', 'num_batches_tracked')
    assert all(key.endswith(statistics) for key in changed)


def test_single_run_switches_everything(tmp_path):
    runner = train(single_config(tmp_path))
    start, end = state(tmp_path / 'epoch_2.pth'), state(tmp_path / 'epoch_4.pth')
    assert all(end[key].equal(start[key]) for key in end if is_frozen(key))
    assert not end['head.fc.weight'].equal(start['head.fc.weight'])
    assert isinstance(runner.train_dataloader.sampler, ClassBalancedSampler)
    assert runner.train_dataloader.sampler.epoch == 3
    assert runner.model.head.metric_weight.start == 0
    options = runner.optim_wrapper.optimizer.param_groups[0]
    assert options['initial_lr'] == 0.05
    momenta = runner.optim_wrapper.optimizer.state
    assert {id(p) for p in momenta} == {
        id(p) for p in runner.model.head.fc.parameters()
    }


def test_images_of_stage_1_are_let_go_before_those_of_stage_2(tmp_path, monkeypatch):
    """Decoded images of both would need the memory twice."""
    found = []
    build = Runner.build_dataloader

    def build_dataloader(*args, **kwargs):
        gc.collect()
        found.append([ref() is not None for ref in datasets])
        loader = build(*args, **kwargs)
        datasets.append(weakref.ref(loader.dataset))
        return loader

    datasets = []
    monkeypatch.setattr(Runner, 'build_dataloader', staticmethod(build_dataloader))
    train(single_config(tmp_path))
    assert found == [[], [True], [False, True]]  # train, val, train of stage 2


def test_single_run_fits_its_config_and_keeps_the_best_of_stage_2(tmp_path):
    cfg = single_config(tmp_path)
    checkpoint = load_from_local(train(cfg).message_hub.get_info('best_ckpt'))
    assert checkpoint['meta']['stage'] == 2
    cfg.load_from = str(tmp_path / 'epoch_4.pth')
    model = Runner.from_cfg(cfg)
    model.test()
    loaded = model.model.state_dict()
    assert all(
        loaded[key].equal(v) for key, v in state(tmp_path / 'epoch_4.pth').items()
    )


@pytest.mark.parametrize('resume_from', [1, 2, 3])
def test_single_run_resumes_in_its_stage(tmp_path, resume_from):
    """From stage 1, from the last epoch of stage 1, and from stage 2."""
    whole = train(single_config(tmp_path / 'whole'))
    cfg = single_config(tmp_path / 'parts', resume=True)
    cfg.load_from = str(tmp_path / 'whole' / f'epoch_{resume_from}.pth')
    resumed = train(cfg)
    # Augmentations differ (their random state is not resumed), so compare structure
    # exactly and the frozen backbone with that of the checkpoint.
    assert resumed.model.head.metric_weight.start == 0
    for attribute in ('last_step', '_global_step'):
        assert [getattr(s, attribute) for s in resumed.param_schedulers] == [
            getattr(s, attribute) for s in whole.param_schedulers
        ]
    assert resumed.optim_wrapper.get_lr() == whole.optim_wrapper.get_lr()
    if resume_from == 3:
        start = state(tmp_path / 'whole' / 'epoch_3.pth')
        end = resumed.model.state_dict()
        assert all(end[key].equal(start[key]) for key in end if is_frozen(key))


def test_resume_in_stage_2_goes_on_with_the_head_of_the_checkpoint(tmp_path):
    """With nothing left to train, all weights are those of the checkpoint."""
    train(single_config(tmp_path))
    cfg = single_config(tmp_path, resume=True)
    cfg.load_from = str(tmp_path / 'epoch_4.pth')
    resumed = train(cfg).model.state_dict()
    assert all(resumed[k].equal(v) for k, v in state(tmp_path / 'epoch_4.pth').items())


def test_run_of_its_own_resumes_without_stage_1(stage1, tmp_path):
    train(stage2_config(tmp_path, stage1))
    cfg = stage2_config(
        tmp_path, tmp_path / 'gone', resume=True, train_cfg__max_epochs=3
    )
    runner = train(cfg)
    assert runner.epoch == 3
    before, after = state(best(stage1)), runner.model.state_dict()
    assert all(after[key].equal(before[key]) for key in after if is_frozen(key))


def test_stage_1_checkpoint_cannot_be_resumed_as_stage_2(stage1, tmp_path):
    cfg = stage2_config(tmp_path, stage1, resume=True)
    cfg.load_from = str(best(stage1))
    with pytest.raises(ValueError, match='use --stage1'):
        train(cfg)


def test_load_from_would_bring_the_head_along(stage1, tmp_path):
    cfg = stage2_config(tmp_path, stage1, load_from=str(best(stage1)))
    with pytest.raises(ValueError, match='also load the head of stage 1'):
        train(cfg)


def test_missing_stage_1_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'does not exist.*tools/train\.py'):
        train(stage2_config(tmp_path, tmp_path / 'gone'))


@pytest.mark.parametrize('options', [dict(epoch=4), dict(epoch=9), dict(epoch=-1)])
def test_stage_2_that_would_never_begin_is_an_error(tmp_path, options):
    cfg = single_config(tmp_path)
    cfg.default_hooks.two_stage.update(options)
    with pytest.raises(ValueError, match=f'epoch={options["epoch"]}, .* max_epochs=4'):
        train(cfg)


def test_single_run_by_iterations_is_an_error(tmp_path):
    cfg = single_config(tmp_path)
    cfg.train_cfg = dict(by_epoch=False, max_iters=4)
    with pytest.raises(ValueError, match='by_epoch=False'):
        train(cfg)


def test_best_of_several_metrics_is_of_stage_2(tmp_path):
    cfg = single_config(tmp_path)
    cfg.default_hooks.checkpoint.save_best = ['balanced_accuracy', 'macro_f1']
    train(cfg)
    best_ones = list(tmp_path.glob('best_*.pth'))
    assert len(best_ones) == 2
    for path in best_ones:
        assert load_from_local(path)['meta']['stage'] == 2


def test_schedule_and_length_of_stage_2(tmp_path):
    """By default a schedule ends with the run, and counts its own epochs."""
    cfg = single_config(tmp_path)
    stage2 = cfg.default_hooks.two_stage.stage2
    stage2.param_scheduler = [
        dict(type='CosineAnnealingLR', convert_to_iter_based=True)
    ]
    stage2.train_dataloader.sampler.length = 640
    runner = train(cfg)
    assert runner.param_schedulers[0].T_max == 2 * 10
    assert runner.optim_wrapper.get_lr()['lr'][0] < 1e-3
    assert runner.iter == runner.max_iters == 2 * 5 + 2 * 10


def test_learning_rate_of_stage_2_is_scaled(tmp_path):
    cfg = single_config(tmp_path)
    cfg.auto_scale_lr = dict(enable=True, base_batch_size=32)
    runner = train(cfg)
    assert (
        runner.optim_wrapper.optimizer.param_groups[0]['initial_lr'] == 0.05 * 64 / 32
    )


def test_resume_in_stage_2_draws_with_the_seed_of_the_run(tmp_path):
    cfg = single_config(tmp_path, randomness__seed=None)
    seed = train(cfg).seed
    cfg.merge_from_dict(dict(resume=True, load_from=str(tmp_path / 'epoch_3.pth')))
    resumed = train(cfg)
    assert resumed.seed == resumed.train_dataloader.sampler.seed == seed


def test_ema_over_a_switch_is_refused(tmp_path):
    cfg = single_config(tmp_path)
    cfg.custom_hooks = [dict(type='EMAHook')]
    with pytest.raises(ValueError, match='EMAHook'):
        train(cfg)


def test_log_says_what_was_frozen(stage1, tmp_path):
    runner = train(stage2_config(tmp_path, stage1, log_level='INFO'))
    log = Path(runner.log_dir, f'{runner.timestamp}.log').read_text()
    assert f'backbone and neck from {best(stage1)}, a new LinearClsHead' in log
    weights = sum(p.numel() for p in runner.model.backbone.parameters())
    assert f'froze backbone and neck ({weights:,} weights' in log
    assert 'training head (330 weights in 2 tensors)' in log


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(), 'either stage1'),
        (dict(stage1='x', epoch=1), 'either stage1'),
        (dict(stage1='x', bn='eval'), "bn='eval'"),
        (dict(epoch=1, stage2=dict(head=1)), 'got head'),
        (dict(stage1='x', stage2=dict(model=1)), 'in a single run'),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        TwoStageHook(**options)


class Batches(Hook):
    """Keeps a sum of each batch, by epoch."""

    def __init__(self):
        self.sums = {}

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        inputs = torch.stack(data_batch['inputs']).double().sum().item()
        self.sums.setdefault(runner.epoch, []).append(inputs)


def batches_of(cfg) -> dict:
    runner = Runner.from_cfg(cfg)
    runner.register_hook(found := Batches())
    runner.train()
    return found.sums, runner.model.state_dict()


@pytest.mark.parametrize('workers', [0, 2])
def test_single_run_with_augmentation_resumes_to_the_bit(tmp_path, workers):
    def config(work_dir, **options):
        cfg = single_config(work_dir, **options)
        cfg.train_dataloader.update(num_workers=workers, persistent_workers=False)
        cfg.train_dataloader.dataset.pipeline = [
            dict(type='RandomCrop', crop_size=8, padding=2),
            dict(type='PackInputs'),
        ]
        cfg.default_hooks.two_stage.stage2.train_dataloader.sampler = dict(
            _delete_=True, type='DefaultSampler', shuffle=False
        )
        return cfg

    sums, straight = batches_of(config(tmp_path / 'whole'))
    assert sums[2] != sums[3]  # each epoch has augmentations of its own
    cfg = config(tmp_path / 'parts', resume=True)
    cfg.load_from = str(tmp_path / 'whole' / 'epoch_3.pth')
    again, resumed = batches_of(cfg)
    assert again == {3: sums[3]}
    assert all(resumed[key].equal(straight[key]) for key in straight)


def test_epochs_of_stage_2_count_from_its_beginning(tmp_path):
    """For losses, and for samplers that move from one power to another."""
    cfg = single_config(tmp_path)
    cfg.default_hooks.two_stage.stage2.train_dataloader.sampler = dict(
        _delete_=True,
        type='mmimbal.ClassBalancedSampler',
        power=1,
        end_power=0,
        epochs=2,
    )
    cfg.model.head.loss = dict(type='mmimbal.LDAMLoss', reweight_epoch=1)
    runner = train(cfg)
    sampler = runner.train_dataloader.sampler
    counts = sampler.counts
    assert sampler.epoch == 3 and runner.model.head.loss_module.phase.epoch == 1
    assert sampler.quotas(2).tolist() == counts.tolist()  # as they come
    halfway = (counts / counts.sum() + 0.1) / 2 * counts.sum()
    assert abs(sampler.quotas(3) - halfway).max() < 1


def test_a_schedule_that_does_not_change_a_list_of_them(tmp_path):
    cfg = single_config(tmp_path)
    cfg.param_scheduler = [dict(type='ConstantLR', factor=0.5)]
    cfg.default_hooks.two_stage.stage2.param_scheduler = dict(type='ConstantLR')
    with pytest.raises(ValueError, match='a dict does not change a list'):
        train(cfg)


def test_a_schedule_that_begins_anew_is_warned_of(tmp_path):
    cfg = single_config(tmp_path)
    stage2 = cfg.default_hooks.two_stage.stage2
    assert 'no param_scheduler of its own' not in log_of(train(cfg))
    cfg = single_config(tmp_path / 'other')
    cfg.default_hooks.two_stage.stage2 = dict(stage2)
    cfg.default_hooks.two_stage.stage2.pop('param_scheduler')
    assert 'no param_scheduler of its own' in log_of(train(cfg))


def test_a_recipe_that_switches_by_itself_is_refused(tmp_path):
    cfg = single_config(tmp_path)
    cfg.custom_hooks = [dict(type='SwitchRecipeHook', schedule=[])]
    with pytest.raises(ValueError, match='SwitchRecipeHook would change what stage 2'):
        train(cfg)


def test_a_model_without_a_backbone_is_refused(tmp_path):
    runner = Runner.from_cfg(single_config(tmp_path))
    (hook,) = (each for each in runner.hooks if isinstance(each, TwoStageHook))
    runner.model = nn.Linear(2, 2)
    with pytest.raises(ValueError, match='Linear has no backbone and no head'):
        hook.before_train(runner)


def test_a_test_has_no_stages(tmp_path):
    """Its model may be a wrapper, such as for test-time augmentation."""
    cfg = single_config(tmp_path)
    load_views(cfg, 'flips')
    cfg.custom_hooks = [dict(type='SwitchRecipeHook', schedule=[])]
    runner = Runner.from_cfg(cfg)
    average_views(runner)
    assert 0 <= runner.test()['balanced_accuracy'] <= 100


@pytest.mark.parametrize(
    'schedule',
    [
        [
            dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=3),
            dict(type='CosineAnnealingLR', by_epoch=False, begin=3),
        ],
        [dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True)],
    ],
)
def test_schedules_of_stage_2_in_iterations(tmp_path, schedule):
    cfg = single_config(tmp_path)
    cfg.default_hooks.two_stage.stage2.param_scheduler = schedule
    runner = train(cfg)
    epochs = runner.max_epochs - cfg.default_hooks.two_stage.epoch
    length = len(runner.train_dataloader)
    assert runner.param_schedulers[-1].end == epochs * length


def test_an_optimizer_of_stage_2_that_reads_the_backbone(tmp_path):
    """Layer-wise decay asks the backbone for the depth of each layer."""
    cfg = single_config(tmp_path)
    stage2 = cfg.default_hooks.two_stage.stage2
    stage2.optim_wrapper.constructor = 'ReadsTheBackbone'
    heads = ReadsTheBackbone.heads
    heads.clear()
    assert train(cfg).model.head in heads


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class ReadsTheBackbone(DefaultOptimWrapperConstructor):
    heads: ClassVar[list[nn.Module]] = []

    def __call__(self, model):
        assert isinstance(model.backbone, nn.Module)
        self.heads.append(model.head)
        return super().__call__(model)


def test_the_batch_size_of_stage_2_scales_its_learning_rate(tmp_path):
    cfg = single_config(tmp_path)
    cfg.auto_scale_lr = dict(enable=True, base_batch_size=64)
    cfg.default_hooks.two_stage.stage2.train_dataloader.batch_size = 16
    runner = train(cfg)
    (group,) = runner.optim_wrapper.optimizer.param_groups
    assert group['initial_lr'] == pytest.approx(0.05 * 16 / 64)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            dict(train_dataloader=dict(sampler=dict(type='Samplr'))),
            r'stage2\.train_dataloader .* cannot be built: Samplr is not in',
        ),
        (
            dict(train_dataloader=dict(sampler=dict(powr=0.0))),
            r"stage2\.train_dataloader .* unexpected keyword argument 'powr'",
        ),
        (
            dict(train_dataloader=dict(sampler=dict(type='DefaultSampler', power=0.5))),
            r"unexpected keyword argument 'power'.*add _delete_=True",
        ),
        (
            dict(
                train_dataloader=dict(
                    batch_sampler=dict(type='mmimbal.PKBatchSampler', k=2, p=500)
                )
            ),
            r'stage2\.train_dataloader .* p=500 slots of k=2',
        ),
        (
            dict(optim_wrapper=dict(optimizer=dict(type='AdamW'))),
            r"stage2\.optim_wrapper .* unexpected keyword argument 'momentum'",
        ),
        (
            dict(param_scheduler=[dict(type='CosineAnealingLR', T_max=1)]),
            r'stage2\.param_scheduler .* CosineAnealingLR is not in',
        ),
        (
            dict(model=dict(head=dict(type='LinearClsHead'))),
            r'stage2\.model\.head .* cannot be built: .*unexpected keyword',
        ),
        (
            dict(model=dict(head=dict(loss=dict(type='mmimbal.RemixLoss')))),
            'stage2 of the TwoStageHook: RemixLoss needs Mixup or CutMix',
        ),
        (
            dict(
                model=dict(
                    head=dict(
                        loss=dict(type='mmimbal.SoftmaxEqualizationLoss', rare=1e-9)
                    )
                )
            ),
            'stage2 of the TwoStageHook: .*rare',
        ),
        (
            dict(train_dataloader=dict(dataset=dict(indices=60))),
            r'stage2\.train_dataloader of .*: no training image of class',
        ),
        (
            dict(train_dataloader=dict(dataset=dict(ratoi=5))),
            r'stage2\.train_dataloader\.dataset .* cannot be built: .*ratoi',
        ),
    ],
)
def test_mistakes_of_stage_2_are_found_before_stage_1(tmp_path, change, message):
    cfg = single_config(tmp_path)
    cfg.merge_from_dict({'default_hooks.two_stage.stage2': change})
    with pytest.raises((KeyError, ValueError), match=message):
        train(cfg)
    assert not list(tmp_path.glob('*.pth'))


def test_early_stopping_before_a_switch_is_refused(tmp_path):
    cfg = single_config(tmp_path)
    cfg.custom_hooks = [dict(type='EarlyStoppingHook', monitor='balanced_accuracy')]
    with pytest.raises(ValueError, match='EarlyStoppingHook could end the run before'):
        train(cfg)


def test_the_natural_part_is_that_of_the_head_in_both_stages(tmp_path):
    cfg = single_config(tmp_path)
    cfg.train_dataloader.batch_sampler = dict(
        type='mmimbal.PKBatchSampler', k=2, natural_size=32
    )
    cfg.model.head.natural_size = 32
    cfg.default_hooks.two_stage.stage2.train_dataloader.batch_sampler = None
    with pytest.raises(
        ValueError, match='natural_size=None, but the head has natural_size=32'
    ):
        train(cfg)


def test_the_log_of_stage_2_has_no_losses_of_stage_1(tmp_path):
    runner = train(single_config(tmp_path))
    losses = runner.message_hub.log_scalars
    assert 'train/loss_metric' not in losses
    assert len(losses['train/loss'].data[0]) == 2 * len(runner.train_dataloader)


def test_logging_is_left_as_it_was(tmp_path):
    """Trying parts of stage 2 is silent, but a program may have switched off more."""
    logging.disable(logging.WARNING)
    try:
        train(single_config(tmp_path))
        assert logging.root.manager.disable == logging.WARNING
    finally:
        logging.disable(logging.NOTSET)


@pytest.mark.parametrize(
    ('hook', 'loss', 'message'),
    [
        (
            'class_counts',
            dict(type='mmimbal.LogitAdjustmentLoss'),
            'needs class counts',
        ),
        ('set_epoch', dict(type='mmimbal.LDAMLoss', reweight_epoch=0), 'needs the ep'),
    ],
)
def test_what_stage_2_needs_is_said_before_stage_1(tmp_path, hook, loss, message):
    cfg = single_config(tmp_path)
    cfg.default_hooks[hook].type = 'IterTimerHook'
    change = dict(model=dict(head=dict(loss=loss)))
    cfg.merge_from_dict({'default_hooks.two_stage.stage2': change})
    with pytest.raises(ValueError, match=f'stage2 of the TwoStageHook: .*{message}'):
        train(cfg)
    assert not list(tmp_path.glob('*.pth'))


METRIC_HEAD = dict(
    _delete_=True,
    type='mmimbal.MetricLearningClsHead',
    num_classes=10,
    in_channels=32,
    metric_loss=dict(type='mmimbal.SupConLoss'),
)


def test_batches_that_are_not_those_of_the_head_of_stage_2(tmp_path):
    cfg = single_config(tmp_path)
    stage2 = cfg.default_hooks.two_stage.stage2
    stage2.model = dict(head=METRIC_HEAD)
    stage2.train_dataloader.batch_sampler = dict(
        type='mmimbal.PKBatchSampler', k=2, natural_size=8
    )
    message = 'stage2 of the TwoStageHook: the batch sampler has natural_size=8, but'
    with pytest.raises(ValueError, match=message):
        train(cfg)
    assert not list(tmp_path.glob('*.pth'))


@MODELS.register_module()
class WithClassifier(BaseModule):
    """A backbone that ends with a classifier."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3 * 64, 10)

    def forward(self, inputs):
        return (self.fc(inputs.flatten(1)),)


@pytest.mark.parametrize('single_run', [True, False])
def test_a_classifier_inside_the_backbone_is_told(tmp_path, single_run):
    """As in MMPretrain's configs of LeNet, VGG and Inception."""
    cfg = single_config(tmp_path) if single_run else stage2_config(tmp_path, 'x.pth')
    cfg.model.head = dict(type='ClsHead')
    cfg.model.neck = None
    cfg.model.backbone = dict(type='mmimbal.WithClassifier')
    if single_run:
        cfg.default_hooks.two_stage.stage2.model = dict(head=dict(type='ClsHead'))
    with pytest.raises(ValueError, match='ClsHead has no weights that stage 2 could'):
        train(cfg)
    assert not list(tmp_path.glob('*.pth'))


def test_the_schedule_of_stage_1_may_not_fit_stage_2(tmp_path):
    cfg = single_config(tmp_path)
    cfg.default_hooks.two_stage.stage2.pop('param_scheduler', None)
    cfg.param_scheduler = [
        dict(type='LinearLR', start_factor=0.1, end=1),
        dict(type='CosineAnnealingLR', T_max=1, begin=1),
    ]
    cfg.train_cfg.max_epochs = cfg.default_hooks.two_stage.epoch + 1
    with pytest.raises(
        ValueError, match='This is the schedule of stage 1: give stage2'
    ):
        train(cfg)


@pytest.mark.parametrize('wrapper', [None, 'RepeatDataset', 'ConcatDataset'])
def test_other_images_of_stage_2_are_checked_without_decoding_them(
    wrapper, tmp_path, monkeypatch
):
    """They are decoded for the cache when stage 2 begins."""
    folder = write_index(tmp_path, rows_of(['a', 'b'], dict(train=4)))
    images = dict(type='mmimbal.CSVDataset', data_root=str(folder), cache='ram')
    images['pipeline'] = [dict(type='LoadImageFromFile')]
    cfg = {
        'RepeatDataset': dict(type=wrapper, times=2, dataset=images),
        'ConcatDataset': dict(type=wrapper, datasets=[images, images]),
    }.get(wrapper, images)

    def decode(*_):
        raise AssertionError('images were decoded')

    monkeypatch.setattr(csv_dataset, 'cache_images', decode)
    with pytest.raises(AssertionError, match='were decoded'):
        CSVDataset(str(folder), pipeline=images['pipeline'], cache='ram').full_init()
    counts = get_class_counts(build_without_cache(cfg))
    assert counts.tolist() == ([8, 8] if wrapper == 'ConcatDataset' else [4, 4])
    assert images['cache'] == 'ram'  # for the loader of stage 2


def test_ranks_with_seeds_of_their_own_resume_to_the_bit(tmp_path):
    """mmengine then draws the seed of the sampler, after a resume another one."""
    options = dict(randomness=dict(seed=0, diff_rank_seed=True))
    whole = train(single_config(tmp_path / 'whole', **options))
    cfg = single_config(tmp_path / 'stopped', **options, train_cfg__max_epochs=3)
    train(cfg)
    cfg.merge_from_dict({'resume': True, 'train_cfg.max_epochs': 4})
    resumed = train(cfg)
    seeds = {get_sampler(each.train_dataloader).seed for each in (whole, resumed)}
    assert seeds == {0}
    for key, value in whole.model.state_dict().items():
        assert value.equal(resumed.model.state_dict()[key]), key


@pytest.mark.parametrize('rank', [0, 1])
def test_stage_2_begins_with_the_seed_of_the_first_rank_on_all(
    rank, tmp_path, monkeypatch
):
    monkeypatch.setattr(ddp, 'get_rank', lambda: rank)
    cfg = Config(dict(randomness=dict(seed=5, diff_rank_seed=True)))
    runner = SimpleNamespace(
        cfg=cfg,
        seed=5 + rank,
        epoch=1,
        model=nn.Linear(1, 1),
        message_hub=SimpleNamespace(runtime_info={}),
    )
    hook, seeds = TwoStageHook(epoch=1), []
    monkeypatch.setattr(hook, '_switch', lambda _, seed: seeds.append(seed))
    hook.before_train_epoch(runner)
    assert seeds == [5]
