"""The tables of the page of results, as plain data."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import mean

import numpy as np

from mmimbal.evaluation.table import mean_and_spread
from mmimbal.experiments.comparison import JUDGED_BY, Comparison
from mmimbal.experiments.fold_test import p_text, p_value
from mmimbal.experiments.grid_results import GridResults
from mmimbal.experiments.plug_in import PlugInEffect
from mmimbal.experiments.rows import Row, expected_runs
from mmimbal.visualization.tables import Cell, Table, estimate, estimate_difference

TITLES = dict(
    balanced_accuracy='balanced accuracy',
    macro_f1='macro F1',
    worst_recall='worst class',
    auroc='AUROC',
    ece='ECE',
)


def headline(comparisons: Mapping[str, Comparison], recipe: str, plain: str) -> Table:
    """Return a table of a recipe with metric learning and the best rows without.

    Args:
        comparisons: Comparison of each data set.
        recipe: The best row on validation with metric learning.
        plain: The best row on validation without. The table also has the best row on
            test without metric learning.
    """
    rows = []
    for dataset, comparison in comparisons.items():
        for name in dict.fromkeys((recipe, plain, comparison.best_plain)):
            cells = _with_difference(comparison, name, recipe, name)
            rows.append([dataset, marked(comparison.rows[name]), *cells])
    header = [each for m in JUDGED_BY for each in (TITLES[m], 'gain', 'p')]
    return Table(['data set', 'row', *header], rows)


def plug_in(
    effects: Mapping[str, Sequence[PlugInEffect]],
    comparisons: Mapping[str, Comparison],
) -> Table:
    """Return a table of plug-in effects: a row for each data set and control."""
    rows = []
    for dataset, of_dataset in effects.items():
        for effect in of_dataset:
            bold = not comparisons[dataset].caution(*effect.rows)
            cells: list[Cell] = [dataset, f'{effect.recipe} minus {effect.control}']
            for metric in JUDGED_BY:
                values = effect.mean(metric)
                above = f'{effect.above_zero(metric)} of {len(effect.differences)}'
                cells += [
                    estimate_difference(metric, values[0], values[1:], bold),
                    above,
                    p_text(effect.p_values[metric]),
                ]
            rows.append(cells)
    header = [each for m in JUDGED_BY for each in (TITLES[m], 'above 0', 'p')]
    return Table(['data set', 'difference', *header], rows)


def methods_of_stage1(grid: GridResults) -> Table:
    """Return a table of the methods of stage 1, with the best stage 2 on validation."""
    first = next(iter(grid.judged.values()))
    shared = {
        dataset: shared_stage2(rows, grid.split)
        for dataset, rows in grid.judged.items()
    }
    titles = (*(TITLES[metric] for metric in JUDGED_BY), 'mean of stage 2', 'runs')
    header = [f'{dataset}: {title}' for dataset in grid.judged for title in titles]
    table = []
    for name in grid.chosen:
        cells = []
        for dataset, rows in grid.judged.items():
            row = rows[name]
            values = [row.values(grid.split, metric) for metric in JUDGED_BY]
            means_of_stage2 = [
                other.mean(grid.split, 'balanced_accuracy')
                for other in rows.values()
                if other.method == row.method and other.stage2 in shared[dataset]
            ]
            cells += [mean_and_spread(each) for each in values]
            cells.append(f'{mean(means_of_stage2):.1f}' if means_of_stage2 else '-')
            cells.append(_runs(row, rows, grid.split))
        table.append([marked(first[name]), *cells])
    return Table(['method', *header], table)


def shared_stage2(rows: Mapping[str, Row], split: str) -> set[str]:
    """Return the ways of stage 2 with metrics for all methods with a stage 2."""
    by_method: dict[str, set[str]] = {}
    for row in rows.values():
        if row.stage2:
            ways = by_method.setdefault(row.method, set())
            if row.number_of_runs(split):
                ways.add(row.stage2)
    return set.intersection(*by_method.values()) if by_method else set()


def means(rows: Mapping[str, Row], split: str) -> Table:
    """Return a table of all rows of a data set, with means over runs, best first."""
    columns = [(split, metric) for metric in TITLES]
    if split == 'test':
        columns = [('val', 'balanced_accuracy'), *columns]
    order = sorted(rows.values(), key=lambda row: -row.mean(split, 'balanced_accuracy'))
    return Table(
        ['method', *(f'{TITLES[metric]} ({of})' for of, metric in columns), 'runs'],
        [
            [
                marked(row),
                *(mean_and_spread(row.values(*column)) for column in columns),
                _runs(row, rows, split),
            ]
            for row in order
        ],
    )


def _runs(row: Row, rows: Mapping[str, Row], split: str) -> str:
    """Return the number of runs, and how many there should be if some are missing."""
    number, expected = row.number_of_runs(split), expected_runs(row.method, rows)
    return f'{number} of {expected}' if number < expected else str(number)


def devices(rows: Mapping[str, Row]) -> str:
    """Return which methods were trained on which device; '' if it was one device."""
    found: dict[str, Counter] = {}
    runs = {(r.method, key): run for r in rows.values() for key, run in r.runs.items()}
    for (method, _), run in runs.items():
        device = run.get('device') or 'an unknown device'
        found.setdefault(device, Counter())[method] += 1
    if len(found) < 2:
        return ''
    total = Counter(method for method, _ in runs)
    usual = max(found, key=lambda device: found[device].total())
    parts = [
        f'{device}: '
        + ', '.join(
            f'{method} ({number} of {total[method]} runs)'
            for method, number in sorted(found[device].items())
        )
        for device in sorted(found)
        if device != usual
    ]
    return f'{"; ".join(parts)}; all others on {usual}'


def _number_of_seeds(rows: Iterable[Row]) -> int:
    """Return the smallest number of seeds above 1 of any row; 1 if all have one."""
    numbers = {len(row.seeds) for row in rows}
    return min(numbers - {1}, default=1)


def compared(comparison: Comparison) -> dict:
    """Return paired differences from the best row without metric learning."""
    order = sorted(
        comparison.rows,
        key=lambda name: -comparison.metrics[name]['balanced_accuracy'][0],
    )
    best = comparison.best_plain
    return dict(
        images=comparison.images,
        folds=len(comparison.folds),
        resamples=comparison.resamples,
        best=best,
        plain=sum(not row.has_metric_loss for row in comparison.rows.values()),
        seeds=_number_of_seeds(comparison.rows.values()),
        caution=comparison.caution(),
        not_compared=Counter(name.split(' + ')[0] for name in comparison.not_compared),
        table=differences_from(comparison, best, order),
    )


def differences_from(
    comparison: Comparison, baseline: str, names: Sequence[str]
) -> Table:
    """Return a table of rows, each with its paired difference from one of them."""
    header = [each for m in JUDGED_BY for each in (TITLES[m], 'difference', 'p')]
    rows = [
        [marked(comparison.rows[n]), *_with_difference(comparison, n, n, baseline)]
        for n in names
    ]
    return Table(['method', *header], rows)


def _with_difference(
    comparison: Comparison, name: str, higher: str, lower: str
) -> list[Cell]:
    """Return the cells of a row: each metric of ``name``, and ``higher`` - ``lower``.

    A difference is bold if its interval does not contain 0, groups are not too few, and
    neither row has a class with a recall of 0 or 100%. It is followed by the p-value
    over folds.
    """
    cells: list[Cell] = []
    bold = higher != lower and not comparison.caution(higher, lower)
    for metric in JUDGED_BY:
        values = comparison.metrics[name][metric]
        cells.append(estimate(metric, values[0], np.clip(values[1:], 0, 100)))
        if higher == lower:
            cells += ['-', '-']
            continue
        gains = comparison.difference(higher, lower, metric)
        cells += [
            estimate_difference(metric, gains[0], gains[1:], bold),
            p_text(p_value(comparison, [(higher, lower)], metric)),
        ]
    return cells


def marked(row: Row) -> str:
    """Return the name of a row, with a star if it has a metric loss."""
    return f'{row.name} *' if row.has_metric_loss else row.name
