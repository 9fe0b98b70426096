"""Metrics that a common class cannot dominate."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmpretrain.evaluation import ConfusionMatrix

from mmimbal.evaluation.class_groups import groups_by_count, groups_by_name
from mmimbal.evaluation.confusion import recall_per_class, summarise
from mmimbal.evaluation.table import format_table
from mmimbal.registry import METRICS


@METRICS.register_module()
class ImbalanceMetric(BaseMetric):
    """Balanced accuracy, macro F1, and recall per class and group of classes, in %.

    Gives ``balanced_accuracy``, ``macro_f1``, ``head_recall``, ``medium_recall``,
    ``tail_recall`` and ``recall/<class name>``, and logs a table of the classes. Any
    of them can be named in ``save_best``, with ``rule='greater'``.

    Args:
        groups: Class names of ``head``, ``medium`` and ``tail``. If ``None``, groups
            follow from the training images per class (> 100, 20..100, < 20), which
            ``mmimbal.ClassCountsHook`` provides. An empty group is left out.
        **kwargs: As in :class:`mmengine.evaluator.BaseMetric`.

    Raises:
        ValueError: If the dataset does not name its classes, or ``groups`` names
            others.
    """

    default_prefix = ''

    def __init__(
        self, groups: Mapping[str, Sequence[str]] | None = None, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        self.groups = groups
        self.class_counts: np.ndarray | None = None

    def set_class_counts(self, counts: np.ndarray) -> None:
        """Take the training images per class, (K,)."""
        self.class_counts = counts

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Keep the true and the predicted label of each sample."""
        for sample in data_samples:
            self.results.append(
                (sample['gt_label'].item(), sample['pred_label'].item())
            )

    def compute_metrics(self, results: list[tuple[int, int]]) -> dict[str, float]:
        """Compute all metrics from (true, predicted) labels of the whole dataset."""
        classes = (self.dataset_meta or {}).get('classes')
        if not classes:
            raise ValueError(
                'ImbalanceMetric names recalls by class, but the dataset has no class '
                'names. Give it metainfo=dict(classes=[...])'
            )
        labels, predictions = torch.tensor(results).T
        confusion = ConfusionMatrix.calculate(predictions, labels, len(classes))
        self._log_table(confusion, classes)
        return summarise(confusion, classes, self._class_groups(classes))

    def _class_groups(self, classes: Sequence[str]) -> dict[str, list[int]]:
        if self.groups is not None:
            groups = groups_by_name(self.groups, list(classes))
        elif self.class_counts is not None:
            groups = groups_by_count(self.class_counts)
        else:
            MMLogger.get_current_instance().warning(
                'No recall by head, medium and tail: neither groups nor training '
                'counts are known. Add dict(type="mmimbal.ClassCountsHook"), or give '
                'ImbalanceMetric(groups=...)'
            )
            return {}
        empty = [name for name, members in groups.items() if not members]
        if empty:
            MMLogger.get_current_instance().info(
                f'Left out, as no class belongs there: {", ".join(empty)}'
            )
        return groups

    def _log_table(self, confusion: torch.Tensor, classes: Sequence[str]) -> None:
        trained = self.class_counts
        recalls = recall_per_class(confusion).tolist()
        rows = [
            (
                name,
                str(trained[label]) if trained is not None else '?',
                str(int(confusion[label].sum())),
                f'{100 * recall:.1f}' if recall == recall else '-',
            )
            for label, (name, recall) in enumerate(zip(classes, recalls, strict=True))
        ]
        table = format_table(('class', 'training images', 'images', 'recall %'), rows)
        MMLogger.get_current_instance().info(f'Recall per class\n{table}')
