"""The metrics of a cross-validation, as a table."""

from collections.abc import Sequence
from statistics import mean, stdev

from mmimbal.evaluation.bootstrap import caution, metrics_with_intervals
from mmimbal.evaluation.metrics import RANKING_METRICS, absent_classes, summarise
from mmimbal.evaluation.origin import doubts
from mmimbal.evaluation.pooling import averaged, pooled
from mmimbal.evaluation.predictions import Predictions
from mmimbal.evaluation.table import format_table, mean_and_spread

# They compare scores of images; those of the models of different folds differ in scale.
WITHIN_FOLDS = (*RANKING_METRICS, 'ece')
NOT_POOLED = (
    f'Scores of different models cannot be compared, so {", ".join(WITHIN_FOLDS)} are '
    'means over folds only. '
)


def report(parts: Sequence[Predictions]) -> tuple[dict, str]:
    """Return the metrics of single folds and of pooled folds, and a table of them.

    Args:
        parts: Predictions of each fold. If all folds have the same test images
            (``--keep-test``), the mean of their probabilities is an ensemble, and the
            table shows each member; otherwise, they are pooled, but for metrics of
            :data:`WITHIN_FOLDS`.

    Returns:
        A dict with ``folds``, ``mean``, ``sd``, ``pooled`` (or ``ensemble``) and
        ``interval`` of each metric, in %, ``None`` where there is none; and a text with
        the table.
    """
    folds = [summarise(part.scores, part.labels, part.classes) for part in parts]
    same_test = len(parts) > 1 and len({tuple(part.files) for part in parts}) == 1
    title = 'ensemble' if same_test else 'pooled'
    apart = () if same_test or len(parts) == 1 else WITHIN_FOLDS
    together = averaged(parts) if same_test else pooled(parts)
    rows, summary = [], {}
    for name, (value, *bounds) in metrics_with_intervals(together).items():
        values = [fold[name] for fold in folds if name in fold]
        if not values:
            continue
        cell = mean_and_spread(values)
        if len(values) < len(folds):
            cell += f' ({len(values)} of {len(folds)})'
        members = [f'{fold[name]:.1f}' if name in fold else '-' for fold in folds]
        cells = (f'{value:.1f}', '{:.1f} .. {:.1f}'.format(*bounds))
        if name in apart:
            value, bounds, cells = None, None, ('-', '-')
        rows.append((name, *(members if same_test else ()), cell, *cells))
        summary[name] = dict(
            folds=[fold.get(name) for fold in folds],
            mean=mean(values),
            sd=stdev(values) if len(values) > 1 else None,
            interval=bounds,
            **{title: value},
        )
    doubtful: dict[str, list[str]] = {}
    for number, part in enumerate(parts):
        absent = absent_classes(part.labels, part.classes)
        for doubt in filter(None, (*doubts(part.about), absent)):
            doubtful.setdefault(doubt, []).append(str(number))
    about = (
        f'{len(together.labels)} test images in {len(set(together.groups.tolist()))} '
        'groups. The intervals are from resampled groups. '
        + (NOT_POOLED if apart else '')
        + ''.join(f'Fold {", ".join(of)}: {doubt} ' for doubt, of in doubtful.items())
        + caution(
            together.groups,
            together.labels,
            together.classes,
            [together.scores.argmax(1)],
        )
    )
    members = [f'fold {number}' for number in range(len(parts))] if same_test else []
    header = ('%', *members, f'{len(parts)} folds', title, '95% interval')
    return summary, f'{about.rstrip()}\n\n{format_table(header, rows)}'
