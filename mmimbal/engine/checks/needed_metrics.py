"""Check before training that validation reports the metrics that hooks need."""

import difflib
from collections.abc import Iterable

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.hooks import CheckpointHook, EarlyStoppingHook
from mmengine.runner import Runner

from mmimbal.datasets import get_class_counts, get_class_names
from mmimbal.evaluation.imbalance_metric import ImbalanceMetric
from mmimbal.evaluation.metrics import LOWER_IS_BETTER, NAMES


def check_needed_metrics(runner: Runner) -> None:
    """Raise a ValueError if a hook or schedule needs a metric that cannot be reported.

    Only ImbalanceMetric is judged; it is not known what other metrics report.
    """
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook) and hook.save_best:
            wanted = [name for name in hook.save_best if name != 'auto']
            check_reported(runner, 'save_best of CheckpointHook', wanted)
            for name, rule in zip(wanted, hook.rules, strict=False):  # 'auto': no rule
                check_rule(runner, 'CheckpointHook', name, rule)
        if isinstance(hook, EarlyStoppingHook) and hook.strict:
            check_reported(runner, 'monitor of EarlyStoppingHook', [hook.monitor])
        if isinstance(hook, EarlyStoppingHook):
            check_rule(runner, 'EarlyStoppingHook', hook.monitor, hook.rule)
    schedulers = runner.param_schedulers
    for scheduler in schedulers if isinstance(schedulers, list) else ():
        if hasattr(scheduler, 'monitor'):
            kind = type(scheduler).__name__
            check_reported(runner, f'monitor of {kind}', [scheduler.monitor])
            check_rule(runner, kind, scheduler.monitor, scheduler.rule)


def check_rule(runner: Runner, asker: str, name: str, rule: str) -> None:
    """Raise a ValueError if a rule takes the worst value of a metric for the best.

    Args:
        runner: The runner.
        asker: Who uses the metric.
        name: Its name, perhaps with a prefix.
        rule: ``'greater'`` or ``'less'``.
    """
    metric = name.rpartition('/')[2]
    right = 'less' if metric in LOWER_IS_BETTER else 'greater'
    if ours_of(runner) and metric in NAMES and rule != right:
        is_better = 'smaller' if right == 'less' else 'greater'
        raise ValueError(
            f'{asker} has rule={rule!r}, but {is_better} is better for {name}: set '
            f'rule={right!r}'
        )


def metrics_of(runner: Runner) -> list[BaseMetric]:
    """Return the metrics of validation."""
    return getattr(getattr(runner.val_loop, 'evaluator', None), 'metrics', [])


def ours_of(runner: Runner) -> list[ImbalanceMetric]:
    """Return the ImbalanceMetrics of validation."""
    return [each for each in metrics_of(runner) if isinstance(each, ImbalanceMetric)]


def check_reported(runner: Runner, asker: str, wanted: Iterable[str]) -> None:
    """Raise a ValueError if a metric will be missing after validation.

    Args:
        runner: The runner; without validation nothing is checked.
        asker: Who needs the metrics.
        wanted: Their names.
    """
    metrics, ours = metrics_of(runner), ours_of(runner)
    if not ours:
        return
    dataset = runner.val_dataloader.dataset
    try:
        counts, classes = get_class_counts(dataset), get_class_names(dataset)
    except TypeError:  # its labels are known only when images are loaded
        return
    reported = [name for metric in ours for name in metric.names(counts)]
    for name in wanted:
        if name in reported:
            continue
        reasons = [why_missing(metric, name, counts, classes) for metric in ours]
        reason = next(filter(None, reasons), None)
        if reason or len(ours) == len(metrics):
            near = difflib.get_close_matches(name, reported)
            others = [each for each in reported if 'recall/' not in each]
            raise ValueError(
                f'{asker} needs the metric {name!r}, but validation will not report '
                f'it{f": {reason}" if reason else ""}. '
                f'{"Similar names" if near else "It reports"}: '
                f'{", ".join(near or others or reported)}'
            )


def why_missing(
    metric: ImbalanceMetric, name: str, counts: np.ndarray, classes: tuple[str, ...]
) -> str | None:
    """Return why validation cannot report a metric that exists; ``None`` otherwise.

    Args:
        metric: The metric that would report it.
        name: Its name, with a prefix.
        counts: Validation images per class, (K,).
        classes: Their names.
    """
    empty = [label for label, count in zip(classes, counts, strict=True) if not count]
    groups = metric.class_groups()
    group = next((each for each in groups if name.endswith(f'{each}_recall')), None)
    if name in metric.names(np.ones_like(counts)):
        one = [label for label in empty if name.endswith(f'recall/{label}')]
        members = [classes[label] for label in groups.get(group, ())]
        return f'class {", ".join(one or members or empty)} has no validation image'
    return f'group {group} has no classes' if groups.get(group) == [] else None
