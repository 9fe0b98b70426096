"""A run that is resumed with other numbers has those of a run that always had them."""

import math

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from torch import nn

from mmimbal.engine.resumed_optimizer import check_state_suffices
from mmimbal.files.checkpoint import load_from_local
from tests.conftest import log_of, tiny_digits, train

LENGTH = 5  # iterations of an epoch
RATE = 0.05


class Options(Hook):
    """Keep the options of the optimizer at each iteration."""

    def __init__(self):
        self.seen = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        wrapper = runner.optim_wrapper
        groups = [
            {
                name: group[name]
                for name in ('lr', 'momentum', 'weight_decay', 'betas')
                if name in group
            }
            for group in wrapper.optimizer.param_groups
        ]
        clipped = wrapper.clip_grad_kwargs
        self.seen.append((groups, clipped, wrapper._accumulative_counts))


def config(work_dir, **changes):
    cfg = tiny_digits('stage1_ce', work_dir, log_level='INFO')
    cfg.train_cfg.max_epochs = 3
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.param_scheduler = [
        dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=4),
        dict(type='CosineAnnealingLR', T_max=3, convert_to_iter_based=True),
    ]
    cfg.merge_from_dict(changes)
    return cfg


def resumed(work_dir, checkpoint, **changes):
    cfg = config(work_dir, resume=True, load_from=str(checkpoint), **changes)
    runner = train(cfg, options := Options())
    return runner, options.seen


@pytest.fixture(scope='module')
def stopped(tmp_path_factory):
    """Return the work dir of a run of three epochs."""
    folder = tmp_path_factory.mktemp('stopped')
    train(config(folder))
    return folder


def cosine(max_epochs):
    return dict(type='CosineAnnealingLR', T_max=max_epochs, convert_to_iter_based=True)


def test_a_longer_run_has_the_rates_of_the_longer_schedule(stopped, tmp_path):
    """A run of 3 epochs is at rate 0 there; half of a cosine over 6 is at RATE / 2."""
    schedule = [cosine(6)]
    changes = dict(param_scheduler=schedule, train_cfg=dict(max_epochs=6))
    runner, seen = resumed(tmp_path, stopped / 'epoch_3.pth', **changes)
    expected = [
        RATE * (1 + math.cos(math.pi * step / (6 * LENGTH))) / 2
        for step in range(3 * LENGTH, 6 * LENGTH)
    ]
    assert [groups[0]['lr'] for groups, *_ in seen] == pytest.approx(expected)
    log = log_of(runner)
    assert 'Resumed with another train_cfg.max_epochs: 3 -> 6' in log
    assert 'Resumed with another param_scheduler.0.type: LinearLR -> Cosine' in log
    assert 'where it would be after 15 iterations: learning rate 0.025' in log


OPTIMIZER = 'optim_wrapper.optimizer'
ADAM = dict(_delete_=True, type='AdamW', lr=0.01, weight_decay=0.02)
CHANGES = {
    'rate': ({f'{OPTIMIZER}.lr': 0.2}, f'{OPTIMIZER}.lr: 0.05 -> 0.2'),
    'decay': (
        {f'{OPTIMIZER}.weight_decay': 0.01},
        f'{OPTIMIZER}.weight_decay: 0.0005 -> 0.01',
    ),
    'momentum': ({f'{OPTIMIZER}.momentum': 0.5}, f'{OPTIMIZER}.momentum: 0.9 -> 0.5'),
    'clipping': (
        {'optim_wrapper.clip_grad': dict(max_norm=1.0)},
        'optim_wrapper.clip_grad.max_norm: not set -> 1.0',
    ),
    'accumulation': (
        {'optim_wrapper.accumulative_counts': 5},
        'optim_wrapper.accumulative_counts: not set -> 5',
    ),
    'scaling': (
        {'auto_scale_lr.enable': True, 'auto_scale_lr.base_batch_size': 32},
        'auto_scale_lr.base_batch_size: not set -> 32',
    ),
    'length alone': ({'train_cfg.max_epochs': 5}, 'train_cfg.max_epochs: 3 -> 5'),
    'warm-up': ({'param_scheduler.0.end': 12}, 'param_scheduler.0.end: 4 -> 12'),
    'schedule by epochs': (
        {'param_scheduler': [dict(type='MultiStepLR', milestones=[1, 2])]},
        'param_scheduler.0.milestones: not set -> [1, 2]',
    ),
    'schedules of both kinds': (
        {
            'param_scheduler': [
                dict(type='LinearLR', start_factor=0.5, by_epoch=False, end=13),
                dict(type='StepLR', step_size=1, gamma=0.3),
                dict(type='LinearMomentum', start_factor=0.2, by_epoch=False, end=14),
            ]
        },
        'param_scheduler.2.type: not set -> LinearMomentum',
    ),
    'no schedule': ({'param_scheduler': []}, 'param_scheduler.1.T_max: 3 -> not set'),
}


@pytest.mark.parametrize('name', CHANGES)
def test_numbers_are_those_of_a_run_that_always_had_them(name, stopped, tmp_path):
    changes, line = CHANGES[name]
    cfg = config(tmp_path / 'fresh', **changes)
    train(cfg, fresh := Options())
    runner, seen = resumed(tmp_path / 'on', stopped / 'epoch_2.pth', **changes)
    assert seen == fresh.seen[2 * LENGTH :]
    assert f'Resumed with another {line}' in log_of(runner)
    # The numbers of this run are now in its checkpoints.
    last = tmp_path / 'on' / f'epoch_{runner.epoch}.pth'
    runner, _ = resumed(tmp_path / 'again', last, **changes)
    assert 'Resumed with another' not in log_of(runner)


def test_the_state_of_the_optimizer_goes_on(stopped, tmp_path):
    old = load_from_local(stopped / 'epoch_2.pth')
    cfg = config(
        tmp_path,
        resume=True,
        load_from=str(stopped / 'epoch_2.pth'),
        **{f'{OPTIMIZER}.lr': 0.01},
    )

    class Look(Hook):
        def before_train_epoch(self, runner):
            state = runner.optim_wrapper.optimizer.state_dict()['state']
            self.state = {k: v['momentum_buffer'].clone() for k, v in state.items()}

    train(cfg, look := Look())
    expected = {k: v['momentum_buffer'] for k, v in old['optimizer']['state'].items()}
    assert look.state.keys() == expected.keys() and len(expected) > 20
    assert all(look.state[k].equal(expected[k]) for k in expected)


def test_betas_and_groups_of_adam(tmp_path):
    def adam(work_dir, decay=0.0, **options):
        optimizer = dict(ADAM, **options)
        cfg = config(work_dir, **{OPTIMIZER: optimizer})
        cfg.optim_wrapper.paramwise_cfg = dict(norm_decay_mult=decay)
        return cfg

    train(adam(tmp_path / 'stopped'))
    new = dict(betas=(0.8, 0.9), weight_decay=0.1)
    train(adam(tmp_path / 'fresh', decay=0.5, **new), fresh := Options())
    cfg = adam(tmp_path / 'on', decay=0.5, **new)
    cfg.merge_from_dict(
        dict(resume=True, load_from=str(tmp_path / 'stopped' / 'epoch_1.pth'))
    )
    runner = train(cfg, on := Options())
    assert on.seen == fresh.seen[LENGTH:] and len(on.seen[0][0]) > 10
    log = log_of(runner)
    assert 'optim_wrapper.optimizer.betas: not set -> [0.8, 0.9]' in log
    assert 'optim_wrapper.paramwise_cfg.norm_decay_mult: 0.0 -> 0.5' in log


BATCHES = r'train_dataloader.batch_size \(sum over ranks\), 64 -> 32'
REFUSED = {
    'optimizer': ({OPTIMIZER: ADAM}, 'optimizer.type, SGD -> AdamW: the checkpoint'),
    'batch size': ({'train_dataloader.batch_size': 32}, BATCHES),
    'images': (
        {
            'train_dataloader.sampler': dict(
                _delete_=True, type='mmimbal.ClassBalancedSampler', length=640
            )
        },
        'number of iterations per epoch, 5 -> 10: .* another part of an epoch',
    ),
    'groups': (
        {'optim_wrapper.paramwise_cfg': dict(norm_decay_mult=0.0)},
        'tensors in 1 groups, that of the config',
    ),
    'less epochs': ({'train_cfg.max_epochs': 1}, 'max_epochs=1: 2 are done already'),
    'way of counting': (
        {'train_cfg': dict(_delete_=True, by_epoch=False, max_iters=20)},
        'train_cfg.by_epoch, True -> False',
    ),
}


@pytest.mark.parametrize('name', REFUSED)
def test_what_cannot_be_changed_is_refused_before_training(name, stopped, tmp_path):
    changes, message = REFUSED[name]
    with pytest.raises(ValueError, match=f'cannot resume.*{message}'):
        resumed(tmp_path, stopped / 'epoch_2.pth', **changes)
    assert not list(tmp_path.glob('*.pth'))


def test_an_option_that_needs_another_state_is_refused(tmp_path):
    cfg = config(tmp_path, **{OPTIMIZER: ADAM}, train_cfg=dict(max_epochs=1))
    train(cfg)
    changes = {OPTIMIZER: dict(ADAM, amsgrad=True), 'train_cfg.max_epochs': 2}
    with pytest.raises(ValueError, match=r"AdamW with its new .*'max_exp_avg_sq'"):
        resumed(tmp_path, tmp_path / 'epoch_1.pth', **changes)


@pytest.mark.parametrize(
    ('kind', 'old', 'new', 'fits'),
    [
        (torch.optim.SGD, {}, dict(momentum=0.9), True),
        (torch.optim.SGD, dict(momentum=0.9), {}, True),
        (torch.optim.RMSprop, {}, dict(momentum=0.9), False),
        (torch.optim.RMSprop, {}, dict(alpha=0.5), True),
        (torch.optim.Adam, dict(amsgrad=True), {}, True),
    ],
)
def test_options_that_fit_a_state(kind, old, new, fits):
    """They fit if torch can make a step."""
    weights = [nn.Parameter(torch.ones(2))]
    weights[0].grad = torch.ones(2)
    before = kind(weights, lr=0.1, **old)
    before.step()
    after = kind(weights, lr=0.1, **new)
    if fits:
        check_state_suffices(after, before.state_dict())
    else:
        with pytest.raises(ValueError, match=r'needs .* in its state'):
            check_state_suffices(after, before.state_dict())
    options = {k: v for k, v in after.param_groups[0].items() if k != 'params'}
    before.param_groups[0].update(options)
    if fits:
        before.step()
    else:
        with pytest.raises(KeyError):
            before.step()


def test_a_checkpoint_of_an_earlier_version_goes_on_as_before(stopped, tmp_path):
    checkpoint = load_from_local(stopped / 'epoch_2.pth')
    del checkpoint['meta']['numbers']
    torch.save(checkpoint, tmp_path / 'epoch_2.pth')
    changes = {f'{OPTIMIZER}.lr': 0.2}
    runner, seen = resumed(tmp_path, tmp_path / 'epoch_2.pth', **changes)
    log = log_of(runner)
    assert 'is of an earlier version, which did not store optimizer' in log
    assert 'Resumed with another' not in log
    _, expected = resumed(tmp_path / 'b', stopped / 'epoch_2.pth')
    assert seen == expected


def test_an_unchanged_run_names_no_change(stopped, tmp_path):
    runner, seen = resumed(tmp_path, stopped / 'epoch_2.pth')
    log = log_of(runner)
    assert 'Resumed with another' not in log and 'an earlier version' not in log
    assert 'The schedule is where' not in log
    train(config(tmp_path / 'fresh'), fresh := Options())
    assert seen == fresh.seen[2 * LENGTH :]


def test_a_checkpoint_without_optimizer_has_the_schedule(stopped, tmp_path):
    """Such as best_*.pth. The schedule began anew there, with its warm-up."""
    checkpoint = load_from_local(stopped / 'epoch_2.pth')
    del checkpoint['optimizer'], checkpoint['param_schedulers']
    torch.save(checkpoint, tmp_path / 'best.pth')
    runner, seen = resumed(tmp_path, tmp_path / 'best.pth')
    assert 'has no state of the optimizer, so momenta start at zero' in log_of(runner)
    _, expected = resumed(tmp_path / 'b', stopped / 'epoch_2.pth')
    assert seen == expected


def test_a_loop_of_iterations(tmp_path):
    def iterations(work_dir, end, **changes):
        loop = dict(_delete_=True, by_epoch=False, max_iters=end)
        cfg = config(work_dir, train_cfg=loop, **changes)
        cfg.default_hooks.checkpoint.update(by_epoch=False, interval=1)
        cfg.param_scheduler = [
            dict(type='CosineAnnealingLR', T_max=end, by_epoch=False),
            dict(type='StepLR', step_size=1),  # it is never stepped in such a loop
        ]
        return cfg

    train(iterations(tmp_path / 'stopped', 2))
    stopped = str(tmp_path / 'stopped' / 'iter_2.pth')
    train(iterations(tmp_path / 'fresh', 4), fresh := Options())
    cfg = iterations(tmp_path / 'on', 4, resume=True, load_from=stopped)
    runner = train(cfg, on := Options())
    assert on.seen == fresh.seen[2:]
    assert on.seen[0][0][0]['lr'] == pytest.approx(RATE / 2)
    assert 'Resumed with another train_cfg.max_iters: 2 -> 4' in log_of(runner)
    cfg = iterations(tmp_path / 'less', 1, resume=True, load_from=stopped)
    with pytest.raises(ValueError, match='max_iters=1: 2 are done already'):
        train(cfg)


def test_a_schedule_that_follows_scores_may_only_be_longer(tmp_path):
    def plateau(work_dir, **changes):
        cfg = config(work_dir, **changes)
        of_leaf = tiny_digits('stage1_ce', work_dir)
        for key in ('val_cfg', 'val_dataloader', 'val_evaluator'):
            cfg[key] = of_leaf[key]
        cfg.param_scheduler = [
            dict(
                type='ReduceOnPlateauLR',
                monitor='ece',
                rule='less',
                threshold=100,
                patience=0,
                factor=0.5,
            )
        ]
        return cfg

    train(plateau(tmp_path / 'a'))
    resume = dict(resume=True, load_from=str(tmp_path / 'a' / 'epoch_3.pth'))
    cfg = plateau(tmp_path / 'b', **resume, **{'train_cfg.max_epochs': 5})
    runner = train(cfg, on := Options())
    rates = [groups[0]['lr'] for groups, *_ in on.seen[::LENGTH]]
    assert runner.param_schedulers[0].end == 5
    # Each score halves the rate: none is 100 times better than the best.
    assert rates == [RATE / 8, RATE / 16]
    cfg = plateau(tmp_path / 'c', **resume, **{f'{OPTIMIZER}.lr': 0.2})
    with pytest.raises(ValueError, match=r'optimizer\.lr: the learning rate follows'):
        train(cfg)


def two_stages(work_dir, **changes):
    """Return a single run: epochs 0 and 1 are stage 1, epochs 2 and 3 stage 2."""
    cfg = tiny_digits('two_stage_triplet_crt', work_dir, log_level='INFO')
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.train_cfg.max_epochs, cfg.default_hooks.two_stage.epoch = 4, 2
    cfg.default_hooks.two_stage.stage2.param_scheduler = [
        dict(type='CosineAnnealingLR', convert_to_iter_based=True)
    ]
    cfg.merge_from_dict(changes)
    return cfg


STAGE2 = 'default_hooks.two_stage.stage2'


@pytest.fixture(scope='module')
def single(tmp_path_factory):
    folder = tmp_path_factory.mktemp('single')
    train(two_stages(folder))
    return folder


@pytest.mark.parametrize('epoch', [1, 2, 3])
def test_single_runs_of_two_stages(epoch, single, tmp_path):
    """Stopped in stage 1, at its end, and in stage 2."""
    changes = {
        f'{OPTIMIZER}.weight_decay': 0.01,
        f'{STAGE2}.{OPTIMIZER}.lr': 0.3,
        'train_cfg.max_epochs': 6,
    }
    train(two_stages(tmp_path / 'fresh', **changes), fresh := Options())
    checkpoint = str(single / f'epoch_{epoch}.pth')
    cfg = two_stages(tmp_path / 'on', resume=True, load_from=checkpoint, **changes)
    runner = train(cfg, on := Options())
    assert on.seen == fresh.seen[epoch * LENGTH :]
    stage2 = [groups[0]['lr'] for groups, *_ in on.seen][(3 - epoch) * LENGTH :]
    expected = [
        0.3 * (1 + math.cos(math.pi * step / (4 * LENGTH))) / 2
        for step in range(LENGTH, 4 * LENGTH)
    ]
    assert stage2[-3 * LENGTH :] == pytest.approx(expected)
    assert runner.iter == runner.max_iters == 6 * LENGTH
    log, prefix = log_of(runner), 'stage2.' if epoch < 3 else ''
    assert f'another {prefix}optim_wrapper.optimizer.lr: 0.05 -> 0.3' in log
    assert 'another train_cfg.max_epochs: 4 -> 6' in log


def test_the_beginning_of_stage_2(single, tmp_path):
    def resume(epoch, switch, **changes):
        cfg = two_stages(tmp_path / f'{epoch}_{switch}', **changes)
        cfg.default_hooks.two_stage.epoch = switch
        cfg.resume, cfg.load_from = True, str(single / f'epoch_{epoch}.pth')
        return train(cfg)

    runner = resume(1, 3)
    assert 'Resumed with another TwoStageHook.epoch: 2 -> 3' in log_of(runner)
    assert load_from_local(tmp_path / '1_3' / 'epoch_3.pth')['meta']['stage'] == 1
    for epoch, switch in ((3, 1), (3, 3), (2, 1)):
        with pytest.raises(ValueError, match=f'epoch, 2 -> {switch}: {epoch} epochs'):
            resume(epoch, switch)
    with pytest.raises(ValueError, match='max_epochs=2: 3 are done already'):
        resume(3, 2, train_cfg=dict(max_epochs=2))


def test_a_run_with_several_optimizers_is_left_to_mmengine(tmp_path):
    """They are not the nets of this project, but nothing may break."""
    runner = Runner.from_cfg(config(tmp_path))
    weight = nn.Parameter(torch.ones(1))
    wrappers = OptimWrapperDict(a=OptimWrapper(torch.optim.SGD([weight], lr=0.1)))
    runner.optim_wrapper = wrappers
    runner._resume, runner._train_loop = (
        True,
        runner.build_train_loop(runner._train_loop),
    )
    checkpoint = dict(meta=dict(epoch=1, iter=5), optimizer={})
    runner.call_hook('after_load_checkpoint', checkpoint=checkpoint)
    assert 'optimizer' in checkpoint
