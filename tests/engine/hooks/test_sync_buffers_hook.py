import pytest
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.nn.modules.batchnorm import _NormBase

from mmimbal.engine import ddp
from mmimbal.files.checkpoint import load_from_local
from tests.conftest import tiny_digits, train


@pytest.fixture
def averaged(monkeypatch):
    """Return what is averaged over ranks, by call."""
    calls = []
    monkeypatch.setattr(
        ddp, 'all_reduce_params', lambda buffers, op: calls.append(buffers)
    )
    return calls


def buffers_of_norms(model):
    return [
        id(buffer)
        for module in model.modules()
        if isinstance(module, _NormBase)
        for buffer in module.buffers()
    ]


def test_norm_statistics_are_averaged_after_each_epoch(tmp_path, averaged):
    cfg = tiny_digits('stage1_triplet', tmp_path)
    cfg.model.head.metric_loss = dict(type='mmimbal.ClassCentreTripletLoss')
    model = train(cfg).model
    expected = buffers_of_norms(model)
    assert [[id(buffer) for buffer in call] for call in averaged] == [expected] * 2


def test_loops_that_count_iterations_average_at_their_end(tmp_path, averaged):
    """Also where they end with a validation, which leaves the model in eval mode."""
    cfg = tiny_digits('stage1_ce', tmp_path)
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=100)
    cfg.train_cfg = dict(by_epoch=False, max_iters=6, val_interval=6)
    cfg.param_scheduler = None
    model = train(cfg).model
    assert [len(call) for call in averaged] == [len(buffers_of_norms(model))]


def test_frozen_statistics_are_left_alone(tmp_path, averaged):
    stage = dict(default_hooks__two_stage__epoch=1)
    train(tiny_digits('two_stage_triplet_crt', tmp_path, **stage))
    assert len(averaged) == 2  # after the epoch of stage 1, and when stage 2 begins
    assert averaged[0] == averaged[1]


def test_ranks_begin_stage_2_with_the_same_statistics(tmp_path, averaged):
    """Also without the hook: they would be frozen as each rank has them."""
    cfg = tiny_digits('two_stage_triplet_crt', tmp_path)
    cfg.default_hooks.two_stage.epoch = 1
    cfg.default_hooks.pop('sync_buffers')
    model = train(cfg).model
    features = [*buffers_of_norms(model.backbone)]
    assert [[id(buffer) for buffer in call] for call in averaged] == [features]


def test_validations_between_iterations_see_averaged_statistics(tmp_path, averaged):
    """Once for each validation, and once for the steps after the last one."""
    cfg = tiny_digits('stage1_ce', tmp_path)
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=100)
    cfg.train_cfg = dict(by_epoch=False, max_iters=7, val_interval=3)
    cfg.param_scheduler = None
    calls = []

    class Count(Hook):
        priority = 'LOWEST'

        def before_val_epoch(self, runner):
            calls.append(len(averaged))

    runner = Runner.from_cfg(cfg)
    runner.register_hook(Count())
    runner.train()
    assert calls[:2] == [1, 2]
    assert len(averaged) == 3


def test_checkpoints_between_iterations_have_averaged_statistics(tmp_path, monkeypatch):
    def average(buffers, op):
        for buffer in buffers:
            buffer.fill_(3)

    monkeypatch.setattr(ddp, 'all_reduce_params', average)
    cfg = tiny_digits('stage1_ce', tmp_path, val_cfg=None, val_dataloader=None)
    cfg.val_evaluator = None
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=2, save_best=None)
    cfg.train_cfg = dict(by_epoch=False, max_iters=3)
    cfg.param_scheduler = None
    model = train(cfg).model
    norms = [n for n, m in model.named_modules() if isinstance(m, _NormBase)]
    for iteration in (2, 3):
        saved = load_from_local(tmp_path / f'iter_{iteration}.pth')['state_dict']
        assert all((saved[f'{name}.running_mean'] == 3).all() for name in norms)


@pytest.mark.parametrize('update_buffers', [False, True])
def test_weights_that_are_averaged_are_saved_with_them(
    tmp_path, monkeypatch, update_buffers
):
    """They are what was validated; on each rank the same."""

    def average(buffers, op):
        for buffer in buffers:
            buffer.fill_(3)

    monkeypatch.setattr(ddp, 'all_reduce_params', average)
    cfg = tiny_digits('stage1_ce', tmp_path, train_cfg__max_epochs=1)
    cfg.custom_hooks = [dict(type='EMAHook', update_buffers=update_buffers)]
    model = train(cfg).model
    norms = [n for n, m in model.named_modules() if isinstance(m, _NormBase)]
    checkpoint = load_from_local(tmp_path / 'epoch_1.pth')
    saved, other = checkpoint['state_dict'], checkpoint['ema_state_dict']
    assert norms
    for name in norms:
        for kind in ('running_mean', 'running_var'):
            assert (saved[f'{name}.{kind}'] == 3).all()
            assert (other[f'module.{name}.{kind}'] == 3).all()
