"""Log which classes the sampler draws, and warn of rebalancing twice."""

import numpy as np
import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from mmimbal.datasets import (
    ClassBalancedSampler,
    PKBatchSampler,
    get_class_names,
    get_sampler,
)
from mmimbal.datasets.views import is_for_metric_loss
from mmimbal.engine.ddp import unwrap_model
from mmimbal.models.heads import MetricLearningClsHead
from mmimbal.registry import HOOKS


@HOOKS.register_module()
class DrawnClassesHook(Hook):
    """Log how many images of each class cross-entropy saw in an epoch, over all ranks.

    Images and views that only the metric loss sees are not counted.

    Warns if the sampler balances classes and the loss uses the class counts too:
    together they rebalance twice. Keeps the name of such a loss of the classifier in
    checkpoints, for a stage 2 that adjusts the classifier of stage 1.
    """

    priority = 'BELOW_NORMAL'  # after hooks that switch losses
    warned: str | None = None

    def before_train_epoch(self, runner: Runner) -> None:
        """Start to count; warn of rebalancing twice, once for each loss."""
        self.names = get_class_names(runner.train_dataloader.dataset)
        self.drawn = torch.zeros(len(self.names), dtype=torch.long)
        loss = find_prior_based_loss(runner.model)
        head = getattr(unwrap_model(runner.model), 'head', None)
        balanced = balances(runner.train_dataloader, head)
        if loss and balanced and loss != self.warned:
            self.warned = loss
            runner.logger.warning(
                f'{loss} uses the class counts, and the sampler balances classes: '
                'together they rebalance twice. Use this loss with DefaultSampler, or '
                'plain cross-entropy with this sampler'
            )

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs=None
    ) -> None:
        """Count the labels of a batch."""
        head = getattr(unwrap_model(runner.model), 'head', None)
        samples = data_batch['data_samples'][: getattr(head, 'natural_size', None)]
        labels = torch.cat(
            [sample.gt_label for sample in samples if not is_for_metric_loss(sample)]
        )
        self.drawn += torch.bincount(labels.cpu(), minlength=len(self.names))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Save the name of a loss that rebalances the classifier, if there is one."""
        loss = find_prior_based_loss(runner.model, of_classifier=True)
        checkpoint['meta']['rebalanced_by'] = loss

    def after_train_epoch(self, runner: Runner) -> None:
        """Log the counts."""
        drawn = self.drawn.clone()
        all_reduce(drawn)
        if not drawn.any():
            return
        shares = ', '.join(
            f'{name}: {count} ({count / drawn.sum():.1%})'
            for name, count in zip(self.names, drawn.tolist(), strict=True)
        )
        runner.logger.info(f'Drawn in epoch {runner.epoch + 1}: {shares}')


def balances(loader: DataLoader, head: nn.Module | None) -> bool:
    """Return whether batches have larger shares of rare classes than the dataset.

    For a head with ``natural_size``, only the natural part of a batch counts: its
    cross-entropy uses no other images.
    """
    batches = loader.batch_sampler
    natural = hasattr(head, 'natural_size') and getattr(batches, 'natural_size', 0)
    if isinstance(batches, PKBatchSampler) and not natural:
        return True
    sampler = get_sampler(loader)
    if not isinstance(sampler, ClassBalancedSampler):
        return False
    drawn = sampler.quotas(sampler.epoch) / sampler.length
    return bool(np.abs(drawn - sampler.counts / sampler.counts.sum()).max() > 0.01)


def find_prior_based_loss(model: nn.Module, of_classifier: bool = False) -> str | None:
    """Return the name of the first loss that rebalances by class counts, if any.

    A metric loss of weight 0 does not count.

    Args:
        model: The model.
        of_classifier: Whether losses of embeddings alone do not count.
    """
    head = getattr(unwrap_model(model), 'head', None)
    ignored = set()
    if isinstance(head, MetricLearningClsHead):
        sees_classifier = 'class_logits' in head.gives
        if not head.metric_weight.start or (of_classifier and not sees_classifier):
            ignored = set(head.metric_loss.modules())
    for module in model.modules():
        takes_counts = hasattr(module, 'set_class_counts')
        takes_counts = takes_counts and getattr(module, 'rebalances', True)
        weighs = getattr(module, 'class_weight', None) is not None
        rebalances = takes_counts or weighs or type(module).__name__ == 'SeesawLoss'
        if rebalances and module not in ignored:
            return type(module).__name__
    return None
