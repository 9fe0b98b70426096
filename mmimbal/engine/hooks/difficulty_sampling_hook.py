"""Draw classes with low validation recall more often."""

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader, Sampler

from mmimbal.datasets import PKBatchSampler, get_class_names, get_sampler
from mmimbal.engine.checks.needed_metrics import check_reported
from mmimbal.engine.hooks.resume_hook import ResumeHook
from mmimbal.engine.hooks.stages import first_epoch
from mmimbal.engine.resumed_numbers import counts_epochs
from mmimbal.registry import HOOKS


@HOOKS.register_module()
class DifficultySamplingHook(Hook):
    """Weight the classes of a ClassBalancedSampler by their validation recall.

    After each validation, the weight of a class is ``(1 - recall + floor) **
    strength``, normalised to a mean of 1. The sampler multiplies its class shares by
    these weights. The weights of all epochs are saved as ``meta['class_weights']`` in
    the checkpoint. A checkpoint is written before the validation of its epoch.
    Therefore, a resumed run needs ``mmimbal.ResumeHook``, which repeats that
    validation: it then draws the same images as a run without interruption.

    The recalls come from ``mmimbal.ImbalanceMetric``. If the sampler of a second stage
    has no class weights, this hook does not change it.

    Args:
        strength: 0 changes nothing; higher values favour hard classes more.
        floor: Weight of a class with a recall of 1, before normalisation.

    Raises:
        ValueError: If an option is outside its range. At the start of training, if
            the training loop counts iterations, validation has no images of a class, or
            a resumed run has no ResumeHook.
        TypeError: At the start of training, if the sampler has no class weights, or is
            used by a PKBatchSampler without a natural part.
        KeyError: If validation gives no recall for a class, with other metrics.
    """

    def __init__(self, strength: float = 1.0, floor: float = 0.1) -> None:
        if strength < 0 or floor <= 0:
            raise ValueError(
                f'strength={strength} must not be negative, floor={floor} must be '
                'positive'
            )
        self.strength = strength
        self.floor = floor
        self.resumed: list | None = None

    def before_train(self, runner: Runner) -> None:
        """Check the sampler, and give it the weights of a resumed run."""
        if runner.val_loop is None:
            raise ValueError(
                'DifficultySamplingHook weighs classes by their validation recall: add '
                'val_dataloader, val_cfg and val_evaluator, or remove the hook'
            )
        if not counts_epochs(runner.train_loop):
            raise ValueError(
                'DifficultySamplingHook changes the weights between epochs, but the '
                'training loop counts iterations: use train_cfg.by_epoch=True'
            )
        if not first_epoch(runner):  # a second stage may use another sampler
            check_sampler(runner.train_dataloader)
        sampler = get_sampler(runner.train_dataloader)
        if takes_weights(sampler):
            names = get_class_names(runner.train_dataloader.dataset)
            recalls = [f'recall/{name}' for name in names]
            check_reported(runner, 'DifficultySamplingHook', recalls)
        has_resume_hook = any(isinstance(hook, ResumeHook) for hook in runner.hooks)
        if self.resumed is not None and not has_resume_hook:
            raise ValueError(
                'a checkpoint is written before the validation of its epoch, whose '
                'recalls DifficultySamplingHook needs: to resume, add '
                "dict(type='mmimbal.ResumeHook') to custom_hooks, which repeats it"
            )
        for epoch, weights in self.resumed or ():
            sampler.set_class_weights(weights, epoch)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Weight the classes by their recall, from the next epoch on."""
        sampler = get_sampler(runner.train_dataloader)
        if not takes_weights(sampler):
            return
        names = get_class_names(runner.train_dataloader.dataset)
        try:
            recalls = np.array([metrics[f'recall/{name}'] for name in names]) / 100
        except KeyError as missing:
            raise KeyError(
                f'validation gives no {missing}: DifficultySamplingHook needs '
                'mmimbal.ImbalanceMetric in val_evaluator, and validation images of '
                'every class'
            ) from None
        weights = (1 - recalls + self.floor) ** self.strength
        weights /= weights.mean()
        sampler.set_class_weights(weights, runner.epoch)
        texts = ', '.join(
            f'{name}: {weight:.2f}' for name, weight in zip(names, weights, strict=True)
        )
        runner.logger.info(f'Class weights of the sampler: {texts}')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Save the weights of all epochs."""
        sampler = get_sampler(runner.train_dataloader)
        if takes_weights(sampler):
            checkpoint['meta']['class_weights'] = sampler.weights

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Read the weights of the run that is resumed."""
        if runner._resume:
            self.resumed = checkpoint['meta'].get('class_weights', [])


def check_sampler(loader: DataLoader) -> None:
    """Raise a TypeError if class weights would not change what a loader draws."""
    sampler, batches = get_sampler(loader), loader.batch_sampler
    if not takes_weights(sampler):
        raise TypeError(
            f'{type(sampler).__name__} has no class weights. DifficultySamplingHook '
            'needs mmimbal.ClassBalancedSampler'
        )
    if isinstance(batches, PKBatchSampler) and not batches.natural_size:
        raise TypeError(
            'PKBatchSampler with natural_size=0 ignores class weights: it draws all '
            'classes equally often. Set natural_size, or remove DifficultySamplingHook'
        )


def takes_weights(sampler: Sampler) -> bool:
    """Return whether a sampler has class weights that can be set."""
    return hasattr(sampler, 'set_class_weights')
