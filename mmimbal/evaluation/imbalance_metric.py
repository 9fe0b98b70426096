"""Metrics that a common class cannot dominate."""

import difflib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from mmimbal.evaluation.class_groups import groups_by_count, groups_by_name
from mmimbal.evaluation.metrics import NAMES, never_predicted, summarise
from mmimbal.evaluation.table import format_table
from mmimbal.registry import METRICS

RECALL, GROUP_RECALL = 'recall', 'group_recall'
GROUPS = ('head', 'medium', 'tail')


@METRICS.register_module()
class ImbalanceMetric(BaseMetric):
    """Everything of :func:`mmimbal.evaluation.metrics.summarise`, in %.

    Balanced accuracy, macro F1, ranking, calibration, ``head_recall``,
    ``medium_recall``, ``tail_recall``, ``recall/<class name>`` and more. Any of them
    can be named in ``save_best``, with ``rule='greater'`` (``'less'`` for ``ece`` and
    ``brier``). Logs a table of the classes, and warns of those never predicted.

    Args:
        groups: Class names of ``head``, ``medium`` and ``tail``. If ``None``, groups
            follow from the training images per class (> 100, 20..100, < 20), which
            ``mmimbal.ClassCountsHook`` provides. An empty group is left out.
        items: Which metrics to report, such as ``['balanced_accuracy', 'recall']``;
            all if ``None``. ``'recall'`` means those of all classes,
            ``'group_recall'`` those of all groups, ``'tail_recall'`` that of one. The
            table is logged in any case.
        prefix: Put before each name, as in ``<prefix>/balanced_accuracy``; nothing if
            ``None``. ``mmimbal.DifficultySamplingHook`` and the curves of a report read
            the names without one.
        **kwargs: As in :class:`mmengine.evaluator.BaseMetric`.

    Raises:
        ValueError: If there is no such item, a group is called ``worst``, the dataset
            does not name its classes, ``groups`` names others, or scores are not
            finite.
    """

    default_prefix = ''

    def __init__(
        self,
        groups: Mapping[str, Sequence[str]] | None = None,
        items: Sequence[str] | None = None,
        prefix: str | None = None,
        **kwargs,
    ) -> None:
        super().__init__(prefix=prefix, **kwargs)
        taken = [name for name in groups or () if f'{name}_recall' in NAMES]
        if taken:
            raise ValueError(f'a group cannot be called {", ".join(taken)}')
        self.groups = groups
        if items is not None:
            check_items(items, GROUPS if groups is None else groups)
        self.items = items
        self.class_counts: np.ndarray | None = None

    def set_class_counts(self, counts: np.ndarray) -> None:
        """Take the training images per class, (K,)."""
        self.class_counts = counts

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Keep the true label and the scores of each sample."""
        for sample in data_samples:
            scores = sample['pred_score'].float().cpu().numpy()
            self.results.append((sample['gt_label'].item(), scores))

    def compute_metrics(self, results: list[tuple[int, np.ndarray]]) -> dict:
        """Compute all metrics from labels and scores of the whole dataset."""
        classes = (self.dataset_meta or {}).get('classes')
        if not classes:
            raise ValueError(
                'ImbalanceMetric names recalls by class, but the dataset has no class '
                'names. Give it metainfo=dict(classes=[...])'
            )
        labels, scores = map(np.array, zip(*results, strict=True))
        metrics = summarise(scores, labels, classes, self._class_groups(classes))
        self._log_table(metrics, labels, classes)
        missed = never_predicted(scores, classes)
        if missed:
            MMLogger.get_current_instance().warning(
                f'Never predicted: {", ".join(missed)}'
            )
        return {name: value for name, value in metrics.items() if self._reports(name)}

    def _reports(self, name: str) -> bool:
        return self.items is None or bool({name, item_of(name)} & {*self.items})

    def _class_groups(self, classes: Sequence[str]) -> dict[str, list[int]]:
        if self.groups is not None:
            groups = groups_by_name(self.groups, list(classes))
        elif self.class_counts is not None:
            groups = groups_by_count(self.class_counts)
        elif not any(self._reports(f'{name}_recall') for name in GROUPS):
            return {}
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
                f'Groups without a class, not reported: {", ".join(empty)}'
            )
        return groups

    def _log_table(
        self, metrics: dict, labels: np.ndarray, classes: Sequence[str]
    ) -> None:
        trained, tested = self.class_counts, np.bincount(labels, minlength=len(classes))
        rows = []
        for label, name in enumerate(classes):
            recall = metrics.get(f'recall/{name}')
            rows.append(
                (
                    name,
                    str(trained[label]) if trained is not None else '?',
                    str(tested[label]),
                    '-' if recall is None else f'{recall:.1f}',
                )
            )
        table = format_table(('class', 'training images', 'images', 'recall %'), rows)
        MMLogger.get_current_instance().info(f'Recall per class\n{table}')


def item_of(name: str) -> str:
    """Return which item of ``items`` a metric belongs to."""
    if name.startswith('recall/'):
        return RECALL
    return name if name in NAMES else GROUP_RECALL


def check_items(items: Sequence[str], groups: Iterable[str]) -> None:
    """Raise a ValueError that names an item which does not exist, and near ones."""
    if isinstance(items, str):
        raise ValueError(f'items={items!r} must be a list of names')
    known = [*NAMES, RECALL, GROUP_RECALL, *(f'{group}_recall' for group in groups)]
    for item in items:
        if item in known:
            continue
        near = difflib.get_close_matches(item, known)
        hint = f'Near names: {", ".join(near)}. ' if near else ''
        raise ValueError(
            f'ImbalanceMetric has no item {item!r}. {hint}It has {", ".join(known)}'
        )
