"""Metrics for imbalanced classes, as an MMPretrain evaluator."""

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
    """Compute all metrics of :func:`mmimbal.evaluation.metrics.summarise`, in %.

    Balanced accuracy, macro F1, ranking, calibration, ``head_recall``,
    ``medium_recall``, ``tail_recall``, ``recall/<class name>`` and more. Each can be
    used in ``save_best``, with ``rule='greater'`` (``'less'`` for ``ece`` and
    ``brier``). The log has a table of recalls, and a warning if classes are never
    predicted.

    Args:
        groups: Class names of ``head``, ``medium`` and ``tail``. If ``None``, groups
            follow from the training images per class (> 100, 20..100, < 20), which
            ``mmimbal.ClassCountsHook`` provides. An empty group is not reported.
        items: Metrics to report, such as ``['balanced_accuracy', 'recall']``; all if
            ``None``. ``'recall'`` is the recall of every class, ``'group_recall'`` that
            of every group, ``'tail_recall'`` that of the group ``tail``. The table is
            always logged.
        prefix: Prefix of each name, as in ``<prefix>/balanced_accuracy``; none if
            ``None``. ``mmimbal.DifficultySamplingHook`` and the curves of a report need
            names without a prefix.
        **kwargs: As in :class:`mmengine.evaluator.BaseMetric`.

    Raises:
        ValueError: If an item is unknown, a group is called ``worst``, the dataset has
            no class names, ``groups`` has unknown class names, or scores are not
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
            raise ValueError(
                f'a group of classes cannot be called {", ".join(taken)}: there is '
                'already a metric with this name. Choose another name'
            )
        self.groups = groups
        if items is not None:
            check_items(items, GROUPS if groups is None else groups)
        self.items = items
        self.class_counts: np.ndarray | None = None

    def set_class_counts(self, counts: np.ndarray) -> None:
        """Set the training images per class, (K,)."""
        self.class_counts = counts

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Store the true label and the scores of each sample."""
        for sample in data_samples:
            label = sample['gt_label']
            if label.numel() != 1:
                raise ValueError(
                    'ImbalanceMetric needs one label per image, but an image has '
                    f'{label.numel()}'
                )
            scores = sample['pred_score'].float().cpu().numpy()
            self.results.append((label.item(), scores))

    def compute_metrics(self, results: list[tuple[int, np.ndarray]]) -> dict:
        """Compute all metrics from labels and scores of the complete dataset."""
        labels, scores = map(np.array, zip(*results, strict=True))
        if self.dataset_meta is None:  # MMPretrain's eval_metric.py has no dataset
            self.dataset_meta = dict(classes=tuple(map(str, range(scores.shape[1]))))
        classes = self._classes()
        groups = self.class_groups()
        self._log_groups(groups)
        metrics = summarise(scores, labels, classes, groups)
        self._log_table(metrics, labels, classes)
        missed = never_predicted(scores, classes)
        if missed:
            MMLogger.get_current_instance().warning(
                f'No image was predicted as {", ".join(missed)}'
            )
        return {name: value for name, value in metrics.items() if self._reports(name)}

    def names(self, counts: np.ndarray) -> list[str]:
        """Return the metrics that are reported for any scores.

        Args:
            counts: Images per class, (K,).

        Raises:
            ValueError: As in the class, and if there are no images.
        """
        present = counts > 0
        # Which metrics are defined depends only on whether there are two classes.
        labels = np.repeat(np.arange(min(2, present.sum())), 2)
        defined = summarise(np.eye(2)[labels], labels, 'ab')
        found = [name for name in NAMES if name in defined]
        found += [
            f'{group}_recall'
            for group, members in self.class_groups().items()
            if present[members].any()
        ]
        found += [f'recall/{self._classes()[k]}' for k in np.flatnonzero(present)]
        prefix = f'{self.prefix}/' if self.prefix else ''
        return [prefix + name for name in found if self._reports(name)]

    def class_groups(self) -> dict[str, list[int]]:
        """Return the classes of each group, none if neither they nor counts are known.

        Raises:
            ValueError: As in the class.
        """
        if self.groups is not None:
            return groups_by_name(self.groups, list(self._classes()))
        return {} if self.class_counts is None else groups_by_count(self.class_counts)

    def _classes(self) -> Sequence[str]:
        classes = (self.dataset_meta or {}).get('classes')
        if not classes:
            raise ValueError(
                'ImbalanceMetric needs class names, but the dataset has none. Give the '
                'dataset metainfo=dict(classes=[...])'
            )
        return classes

    def _reports(self, name: str) -> bool:
        return self.items is None or bool({name, item_of(name)} & {*self.items})

    def _log_groups(self, groups: dict[str, list[int]]) -> None:
        log = MMLogger.get_current_instance()
        unknown = self.groups is None and self.class_counts is None
        if unknown and any(self._reports(f'{name}_recall') for name in GROUPS):
            log.warning(
                'No recall of head, medium and tail: neither groups nor class counts '
                'are known. Add dict(type="mmimbal.ClassCountsHook") to the hooks, or '
                'set groups of ImbalanceMetric'
            )
        empty = [name for name, members in groups.items() if not members]
        if empty:
            log.info(f'Not reported, because they have no classes: {", ".join(empty)}')

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
    """Return the item of ``items`` that a metric belongs to."""
    if name.startswith('recall/'):
        return RECALL
    return name if name in NAMES else GROUP_RECALL


def check_items(items: Sequence[str], groups: Iterable[str]) -> None:
    """Raise a ValueError if an item is unknown; the message has similar names."""
    if isinstance(items, str):
        raise ValueError(f'items={items!r} must be a list of names')
    known = [*NAMES, RECALL, GROUP_RECALL, *(f'{group}_recall' for group in groups)]
    for item in items:
        if item in known:
            continue
        near = difflib.get_close_matches(item, known)
        hint = f'Similar names: {", ".join(near)}. ' if near else ''
        raise ValueError(
            f'ImbalanceMetric has no item {item!r}. {hint}Its items are '
            f'{", ".join(known)}'
        )
