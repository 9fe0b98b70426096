"""Refuse a run that would fail later, or whose parts do not go together."""

import weakref

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmimbal.engine.checks.batches import check_batches
from mmimbal.engine.checks.checkpoint_options import check_checkpoint_options
from mmimbal.engine.checks.head_loss import check_head_loss
from mmimbal.engine.checks.last_batch import check_last_batch
from mmimbal.engine.checks.needed_metrics import check_needed_metrics
from mmimbal.engine.checks.needs import check_needs
from mmimbal.engine.checks.warm_up import warn_of_long_warm_up
from mmimbal.engine.ddp import unwrap_model
from mmimbal.registry import HOOKS


@HOOKS.register_module()
class CheckRunHook(Hook):
    """Check before the first step that the parts of a run go together.

    It warns of a warm-up that takes more than half of the training.

    Raises:
        ValueError: When training begins, if ``CheckpointHook`` has an unknown option,
            if ``save_best`` or another hook wants a metric that
            ``mmimbal.ImbalanceMetric`` cannot report on the validation images or with
            the wrong rule, if the run does not give what losses and heads need, such
            as views, if the loss of the head is one of embeddings, or
            if ``PreciseBNHook`` meets a batch sampler.
            When training or a stage begins, if ``natural_size`` or ``separate_views``
            differs between batch sampler and head, or if the last batch has one image
            and batch norm needs two.
    """

    priority = 'BELOW_NORMAL'  # after hooks that switch losses
    # The batch sampler that was checked last; weak, as it holds its images.
    checked: weakref.ref | None = None

    def before_train(self, runner: Runner) -> None:
        """Check the run, and the batches of its first stage."""
        check_checkpoint_options(runner)
        check_needed_metrics(runner)
        check_needs(runner)
        check_head_loss(unwrap_model(runner.model))
        warn_of_long_warm_up(runner)
        self._check_batches(runner)

    def before_train_epoch(self, runner: Runner) -> None:
        """Check the batches: stage 2 of a single run has another loader."""
        self._check_batches(runner)

    def _check_batches(self, runner: Runner) -> None:
        check_batches(runner)
        batches = runner.train_dataloader.batch_sampler
        if self.checked is None or self.checked() is not batches:
            check_last_batch(runner.model, runner.train_dataloader)
            self.checked = weakref.ref(batches)
