"""Drawing more of the classes that validation finds hard."""

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader, Sampler

from mmimbal.datasets import PKBatchSampler, get_class_names, get_sampler
from mmimbal.engine.hooks.resume_hook import ResumeHook
from mmimbal.engine.hooks.set_epoch_hook import first_epoch
from mmimbal.registry import HOOKS


@HOOKS.register_module()
class DifficultySamplingHook(Hook):
    """Weight classes in a ClassBalancedSampler by how badly they are recalled.

    After each validation, classes weigh ``(1 - recall + floor) ** strength``,
    normalised to a mean of 1, on top of the sampler's own shares. The weights of all
    epochs are kept in ``meta['class_weights']`` of the checkpoint. A checkpoint is
    written before the validation of its epoch; a run resumed from it repeats that
    validation, here or in ``mmimbal.ResumeHook``, so that it draws what a run without
    a break would have drawn.

    Needs ``mmimbal.ImbalanceMetric`` for the recalls. It leaves alone the sampler of a
    second stage that takes no class weights.

    Args:
        strength: 0 changes nothing; higher values favour hard classes more.
        floor: Weight left to a class that is always recognised, before normalisation.

    Raises:
        ValueError: If an option is outside its range.
        TypeError: At the start of training, if the sampler takes no class weights, or
            stands in a PKBatchSampler without a natural part.
        KeyError: If validation gives no recall for a class.
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
        if not first_epoch(runner):  # that of a second stage may be another
            check_sampler(runner.train_dataloader)
        sampler = get_sampler(runner.train_dataloader)
        for epoch, weights in self.resumed or ():
            sampler.set_class_weights(weights, epoch)

    def before_train_epoch(self, runner: Runner) -> None:
        """Repeat the validation that a resumed checkpoint was written before."""
        if self.resumed is None:
            return
        known = [epoch for epoch, _ in self.resumed]
        self.resumed = None
        if any(isinstance(hook, ResumeHook) for hook in runner.hooks):
            return  # it has made up for that, before the head was perhaps replaced
        loop = runner.train_loop
        due = runner.epoch >= loop.val_begin and runner.epoch % loop.val_interval == 0
        if due and runner.epoch not in known:
            runner.val_loop.run()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Weigh the classes by their recall, from the next epoch on."""
        sampler = get_sampler(runner.train_dataloader)
        if not takes_weights(sampler):
            return
        names = get_class_names(runner.train_dataloader.dataset)
        try:
            recalls = np.array([metrics[f'recall/{name}'] for name in names]) / 100
        except KeyError as missing:
            raise KeyError(
                f'validation gives no {missing}: DifficultySamplingHook needs '
                'mmimbal.ImbalanceMetric and every class in the validation split'
            ) from None
        weights = (1 - recalls + self.floor) ** self.strength
        weights /= weights.mean()
        sampler.set_class_weights(weights, runner.epoch)
        weighed = ', '.join(
            f'{name} {weight:.2f}' for name, weight in zip(names, weights, strict=True)
        )
        runner.logger.info(f'Class weights of the sampler: {weighed}')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the weights of all epochs."""
        sampler = get_sampler(runner.train_dataloader)
        if takes_weights(sampler):
            checkpoint['meta']['class_weights'] = sampler.weights

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take the weights of the run that is resumed."""
        if runner._resume:
            self.resumed = checkpoint['meta'].get('class_weights', [])


def check_sampler(loader: DataLoader) -> None:
    """Raise a TypeError if class weights would not change what a loader draws."""
    sampler, batches = get_sampler(loader), loader.batch_sampler
    if not takes_weights(sampler):
        raise TypeError(
            f'{type(sampler).__name__} takes no class weights; use '
            'mmimbal.ClassBalancedSampler with DifficultySamplingHook'
        )
    if isinstance(batches, PKBatchSampler) and not batches.natural_size:
        raise TypeError(
            'PKBatchSampler without a natural part draws all classes equally often, '
            'whatever the weights of the sampler inside'
        )


def takes_weights(sampler: Sampler) -> bool:
    """Return whether a sampler can be told to weigh its classes."""
    return hasattr(sampler, 'set_class_weights')
