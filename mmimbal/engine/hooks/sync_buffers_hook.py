"""Keep batch norm statistics equal on all ranks."""

from mmengine.hooks import CheckpointHook, EMAHook, Hook
from mmengine.runner import Runner
from torch.nn.modules.batchnorm import _NormBase

from mmimbal.engine.ddp import average_statistics, norms_in_training
from mmimbal.registry import HOOKS


@HOOKS.register_module()
class SyncBuffersHook(Hook):
    """Average norm statistics over ranks, as they are validated and saved.

    It does so after each epoch, before a validation and before a checkpoint.

    mmengine's hook with this name averages all buffers. Its rounding errors would
    change buffers that are equal on all ranks, such as frozen statistics and the
    memories of losses. This hook averages only the statistics of norm layers in
    training mode, and those of weights that ``EMAHook`` averages.
    """

    layers: list[_NormBase] | None = None

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None):
        """Collect the norm layers in training mode, at the first step."""
        if self.layers is None:
            self.layers = norms_in_training(runner.model)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs=None
    ) -> None:
        """Average before a checkpoint is written inside an epoch."""
        if any(saves_now(hook, runner) for hook in runner.hooks):
            self._average(runner)

    def before_val_epoch(self, runner: Runner) -> None:
        """Average before a validation inside an epoch, in a loop over iterations."""
        self._average(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Average at the end of an epoch."""
        self._average(runner)

    def _average(self, runner: Runner) -> None:
        average_statistics(self.layers or ())
        for hook in runner.hooks:
            if isinstance(hook, EMAHook) and self.layers:
                average_statistics_of_ema(hook, self.layers)
        self.layers = None


def saves_now(hook: Hook, runner: Runner) -> bool:
    """Return whether a hook writes a checkpoint after this iteration."""
    if not isinstance(hook, CheckpointHook) or hook.by_epoch:
        return False
    is_due = hook.every_n_train_iters(runner, hook.interval, hook.save_begin)
    return is_due or (hook.save_last and hook.is_last_train_iter(runner))


def average_statistics_of_ema(hook: EMAHook, layers: list[_NormBase]) -> None:
    """Average the statistics of averaged weights, which are saved, in the same way.

    They are copies of those of the model (``update_buffers=False``), or averages.

    Args:
        hook: The hook of the averaged weights.
        layers: Norm layers of the model, with statistics that are averaged already.
    """
    sources = dict(hook.src_model.named_modules())
    averages = dict(hook.ema_model.module.named_modules())
    pairs = [(sources[n], averages[n]) for n in sources if sources[n] in layers]
    if hook.ema_model.update_buffers:
        average_statistics(average for _, average in pairs)
        return
    for source, average in pairs:
        for ours, theirs in zip(average.buffers(), source.buffers(), strict=True):
            ours.copy_(theirs)
