"""Watch stage 1: losses that are not finite, collapse, distances between classes."""

import math

import torch
import torch.nn.functional as F
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmimbal.datasets import get_class_names
from mmimbal.engine.ddp import unwrap_model
from mmimbal.engine.hooks.stages import current_epoch
from mmimbal.models.losses.monitors import class_distances
from mmimbal.registry import HOOKS


@HOOKS.register_module()
class MetricMonitorHook(Hook):
    """Stop if a loss is not finite, warn of collapse, log distances between classes.

    If a loss is not finite, the run stops with an error that lists the image files of
    the batch. If all embeddings point in almost the same direction (collapse), the
    metric loss has almost no gradient and cannot recover. The log shows their spread as
    ``embedding_spread``; a spread below ``min_spread`` gives one warning per epoch.
    After each epoch, two distances are logged for each class: from its embeddings to
    the class mean (root mean square), and from this mean to the nearest mean of another
    class.

    Args:
        min_spread: A smaller spread is a collapse. The spread is 1 if directions are
            uniform, and 0 if there is a single direction.
        stop: Whether a collapse stops the run.

    Raises:
        ValueError: If ``min_spread`` is not in [0, 1].
        FloatingPointError: In training, if a loss is not finite.
        RuntimeError: In training, if embeddings collapse and ``stop`` is set.
    """

    def __init__(self, min_spread: float = 0.05, stop: bool = False) -> None:
        if not 0 <= min_spread <= 1:
            raise ValueError(f'min_spread={min_spread} must be in [0, 1]')
        self.min_spread = min_spread
        self.stop = stop
        self.handle = None
        self.epoch: int | None = None

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None):
        """Start to collect the inputs of the metric loss, at the start of an epoch."""
        epoch = current_epoch(runner)
        if epoch == self.epoch:
            return
        self._finish(runner)
        self.epoch = epoch
        self.has_warned = False
        head = getattr(unwrap_model(runner.model), 'head', None)
        if hasattr(head, 'metric_loss'):
            self.names = get_class_names(runner.train_dataloader.dataset)
            self.sums = self.counts = None
            self.handle = head.metric_loss.register_forward_pre_hook(self._collect)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs=None
    ) -> None:
        """Check the losses and the spread of a batch."""
        # RuntimeInfoHook has read them. To read a tensor again would wait for a GPU.
        read = runner.message_hub.log_scalars
        values = {
            name: read[f'train/{name}'].current()
            if f'train/{name}' in read
            else float(value)
            for name, value in outputs.items()
        }
        if not math.isfinite(values['loss']):
            wrong = ', '.join(
                f'{name} is {value}'
                for name, value in values.items()
                if not math.isfinite(value)
            )
            files = '\n'.join(
                str(sample.get('img_path', 'an image without a path'))
                for sample in data_batch['data_samples']
            )
            raise FloatingPointError(
                f'{wrong} in epoch {self.epoch + 1}, iteration {batch_idx + 1}. '
                'Lower the learning rate, clip gradients (optim_wrapper.clip_grad), '
                f'or look at the images of this batch:\n{files}'
            )
        spread = values.get('embedding_spread')
        single = len(data_batch['data_samples']) == 1  # always a single direction
        if self.has_warned or single or spread is None or spread >= self.min_spread:
            return
        self.has_warned = True
        message = (
            f'Embeddings have collapsed: spread {spread:.3f} is below '
            f'{self.min_spread} in epoch {self.epoch + 1}. The metric loss has almost '
            'no gradient there: lower metric_weight or raise warmup_epochs of the '
            'head, lower the learning rate, or use another miner'
        )
        if self.stop:
            raise RuntimeError(message)
        runner.logger.warning(message)

    def after_train_epoch(self, runner: Runner) -> None:
        """Log the distances between classes."""
        self._finish(runner)

    def _finish(self, runner: Runner) -> None:
        if self.handle is None:
            return
        self.handle.remove()
        self.handle = None
        if self.counts is not None:
            distances = zip(*class_distances(self.sums, self.counts), strict=True)
            texts = ', '.join(
                f'{name}: {own:.2f}/{other:.2f}'
                for name, (own, other) in zip(self.names, distances, strict=True)
            )
            runner.logger.info(
                f'Distances in epoch {self.epoch + 1} (embeddings to their class mean '
                f'/ class mean to the nearest other class mean): {texts}'
            )

    @torch.no_grad()
    def _collect(self, metric_loss: torch.nn.Module, inputs: tuple) -> None:
        embeddings, labels = inputs[:2]
        if self.counts is None:
            classes = len(self.names)
            self.sums = embeddings.new_zeros(classes, embeddings.shape[1])
            self.counts = embeddings.new_zeros(classes)
        self.sums.index_add_(0, labels, F.normalize(embeddings))
        self.counts.index_add_(
            0, labels, torch.ones_like(labels, dtype=embeddings.dtype)
        )
