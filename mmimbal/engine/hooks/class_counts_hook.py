"""Class counts for every loss, head and metric that wants them."""

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmimbal.datasets import get_class_counts, get_class_names
from mmimbal.engine.ddp import unwrap_model
from mmimbal.registry import HOOKS


@HOOKS.register_module()
class ClassCountsHook(Hook):
    """Call ``set_class_counts(counts)`` on whoever has it: modules and metrics.

    Counts are those of the training dataset, (K,), int64, and are kept in the
    checkpoint's ``meta['class_counts']``, from where a test run reads them. They are
    given anew each epoch, since a loss may have been switched.

    Raises:
        ValueError: At the start of training, if a class has no image left, or the head
            is of another number of classes.
    """

    priority = 'BELOW_NORMAL'  # after hooks that switch losses
    counts: np.ndarray | None = None

    def before_train(self, runner: Runner) -> None:
        """Count the training images."""
        dataset = runner.train_dataloader.dataset
        self.counts = get_class_counts(dataset)
        counted = list(zip(get_class_names(dataset), self.counts, strict=True))
        empty = [name for name, count in counted if not count]
        if empty:
            raise ValueError(
                f'no image to train on for class {", ".join(empty)}: was it filtered '
                'out? Remove it from the classes, or mend the filter'
            )
        head = getattr(unwrap_model(runner.model), 'head', None)
        classes = getattr(head, 'num_classes', len(counted))
        if classes != len(counted):
            raise ValueError(
                f'the head has num_classes={classes}, but the training images are of '
                f'{len(counted)} classes: {", ".join(name for name, _ in counted)}'
            )
        runner.logger.info(
            f'Training images per class: {", ".join(f"{n} {c}" for n, c in counted)}'
        )
        self._hand_out(runner)

    def before_train_epoch(self, runner: Runner) -> None:
        """Reach losses that were switched in."""
        self._hand_out(runner)

    def before_test_epoch(self, runner: Runner) -> None:
        """Reach the metrics of a test that follows training."""
        if self.counts is not None:
            self._hand_out(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the counts for test runs."""
        if self.counts is not None:
            checkpoint['meta']['class_counts'] = self.counts.tolist()

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Read the counts of the run that wrote the checkpoint."""
        counts = checkpoint.get('meta', {}).get('class_counts')
        if counts is not None:
            self.counts = np.array(counts)
            self._hand_out(runner)

    def _hand_out(self, runner: Runner) -> None:
        loops = (runner._val_loop, runner._test_loop)
        metrics = (
            metric
            for loop in loops
            if hasattr(loop, 'evaluator')
            for metric in loop.evaluator.metrics
        )
        for taker in (*runner.model.modules(), *metrics):
            if hasattr(taker, 'set_class_counts'):
                taker.set_class_counts(self.counts)
