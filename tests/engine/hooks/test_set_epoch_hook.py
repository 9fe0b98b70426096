from mmengine.runner import IterBasedTrainLoop
from torch import nn

from mmimbal.registry import MODELS
from tests.conftest import tiny_digits, train


@MODELS.register_module()
class TellingLoss(nn.CrossEntropyLoss):
    """Remember the epoch of each step."""

    def __init__(self):
        super().__init__()
        self.epoch, self.steps = None, []

    def set_epoch(self, epoch):
        self.epoch = epoch

    def forward(self, scores, labels, avg_factor=None):
        self.steps.append(self.epoch)
        return super().forward(scores, labels)


def telling(tmp_path, **options):
    cfg = tiny_digits('stage1_ce', tmp_path, **options)
    cfg.model.head.loss = dict(type='mmimbal.TellingLoss')
    return cfg


def test_every_step_knows_its_epoch(tmp_path):
    runner = train(telling(tmp_path))
    steps = len(runner.train_dataloader)
    assert runner.model.head.loss_module.steps == [0] * steps + [1] * steps


def test_a_resumed_run_goes_on_counting(tmp_path):
    train(telling(tmp_path))
    cfg = telling(tmp_path, train_cfg__max_epochs=3, resume=True)
    assert set(train(cfg).model.head.loss_module.steps) == {2}


def test_a_stage_1_of_one_epoch(tmp_path):
    """Epoch 0 of stage 2 is told to the new head, too."""
    cfg = telling(tmp_path, train_cfg__max_epochs=3)
    stage2 = dict(model=dict(head=dict(loss=dict(type='mmimbal.TellingLoss'))))
    cfg.default_hooks.two_stage = dict(
        type='mmimbal.TwoStageHook', epoch=1, stage2=stage2
    )
    runner = train(cfg)
    steps = len(runner.train_dataloader)
    assert runner.model.head.loss_module.steps == [0] * steps + [1] * steps


def test_loops_that_count_iterations_tell_it_too(tmp_path):
    cfg = telling(tmp_path, default_hooks__checkpoint__by_epoch=False)
    cfg.train_cfg = dict(by_epoch=False, max_iters=12, val_interval=12)
    cfg.param_scheduler = None
    runner = train(cfg)
    assert isinstance(runner.train_loop, IterBasedTrainLoop)
    found = runner.model.head.loss_module.steps
    assert found == sorted(found) and set(found) == {0, 1, 2}
