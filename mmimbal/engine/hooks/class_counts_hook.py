"""Give class counts to all losses, heads and metrics that use them."""

from collections.abc import Sequence

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop

from mmimbal.datasets import get_class_counts, get_class_names
from mmimbal.datasets.labels_and_groups import check_no_class_is_empty
from mmimbal.engine.ddp import unwrap_model
from mmimbal.engine.hooks.stages import stage_of
from mmimbal.models.needs import CLASS_COUNTS, give_class_counts
from mmimbal.registry import HOOKS


@HOOKS.register_module()
class ClassCountsHook(Hook):
    """Call ``set_class_counts(counts)`` on all modules and metrics that have it.

    The counts are those of the training dataset, (K,), int64. They are saved as
    ``meta['class_counts']`` in the checkpoint, from where a test run reads them. They
    are set again in each epoch, because another hook may have replaced the loss. Stage
    2 of a single run, which may have other images, is counted when it begins.

    Raises:
        ValueError: At the start of training, or of stage 2 with other images, if a
            class has no images, or the head, or a data preprocessor that makes labels
            one-hot, has another number of classes.
    """

    gives = (CLASS_COUNTS,)
    priority = 'BELOW_NORMAL'  # after hooks that switch losses
    counts: np.ndarray | None = None
    counted: int | None = None  # the stage

    def before_train(self, runner: Runner) -> None:
        """Count the training images."""
        self._count(runner)
        self._set_counts(runner)

    def before_train_epoch(self, runner: Runner) -> None:
        """Set the counts of losses that another hook has put in."""
        if stage_of(runner) != self.counted:
            self._count(runner)
        self._set_counts(runner)

    def _count(self, runner: Runner) -> None:
        self.counted = stage_of(runner)
        dataset = runner.train_dataloader.dataset
        self.counts = get_class_counts(dataset)
        names = get_class_names(dataset)
        check_no_class_is_empty(self.counts, names)
        counted = list(zip(names, self.counts, strict=True))
        model = unwrap_model(runner.model)
        _check_classes('the head', getattr(model, 'head', None), names)
        preprocessor = getattr(model, 'data_preprocessor', None)
        makes_onehot = getattr(preprocessor, 'to_onehot', False)
        if makes_onehot or getattr(preprocessor, 'batch_augments', None):
            _check_classes('data_preprocessor', preprocessor, names)
        runner.logger.info(
            f'Training images per class: {", ".join(f"{n}: {c}" for n, c in counted)}'
        )

    def before_test_epoch(self, runner: Runner) -> None:
        """Set the counts of the metrics, if a test follows training."""
        if self.counts is not None:
            self._set_counts(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Save the counts for test runs."""
        if self.counts is not None:
            checkpoint['meta']['class_counts'] = self.counts.tolist()

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Read the counts from the checkpoint, for a run that does not train."""
        counts = checkpoint.get('meta', {}).get('class_counts')
        if counts is not None and not isinstance(runner._train_loop, BaseLoop):
            self.counts = np.array(counts)
            self._set_counts(runner)

    def _set_counts(self, runner: Runner) -> None:
        loops = (runner._val_loop, runner._test_loop)
        metrics = (
            metric
            for loop in loops
            if hasattr(loop, 'evaluator')
            for metric in loop.evaluator.metrics
        )
        give_class_counts([*runner.model.modules(), *metrics], self.counts)


def _check_classes(part: str, module: object, names: Sequence[str]) -> None:
    """Raise a ValueError if a part of a model has another number of classes.

    Args:
        part: Its name, for the message.
        module: The part; one without ``num_classes`` fits.
        names: Class names of the training dataset, K.
    """
    classes = getattr(module, 'num_classes', None)
    if classes not in (None, len(names)):
        raise ValueError(
            f'{part} has num_classes={classes}, but the training dataset has '
            f'{len(names)} classes: {", ".join(names)}'
        )
