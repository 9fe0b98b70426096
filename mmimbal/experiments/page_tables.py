"""The tables of the page of results, as plain data."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import mean

import numpy as np

from mmimbal.evaluation.table import mean_and_spread
from mmimbal.experiments.comparison import JUDGED_BY, Comparison
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
    header = [each for m in JUDGED_BY for each in (TITLES[m], 'gain')]
    return Table(['data set', 'row', *header], rows)


def plug_in(
    effects: Mapping[str, Sequence[PlugInEffect]],
    comparisons: Mapping[str, Comparison],
) -> Table:
    """Return a table of plug-in effects: a row for each data set and control."""
    rows = []
    for dataset, of_dataset in effects.items():
        bold = not comparisons[dataset].caution
        for effect in of_dataset:
            cells: list[Cell] = [dataset, f'{effect.recipe} minus {effect.control}']
            for metric in JUDGED_BY:
                values = effect.mean(metric)
                above = f'{effect.above_zero(metric)} of {len(effect.differences)}'
                p_value = effect.p_values[metric]
                cells += [
                    estimate_difference(metric, values[0], values[1:], bold),
                    above,
                    '-' if p_value is None else f'{p_value:.3f}',
                ]
            rows.append(cells)
    header = [each for m in JUDGED_BY for each in (TITLES[m], 'above 0', 'p')]
    return Table(['data set', 'difference', *header], rows)


def methods_of_stage1(grid: GridResults) -> Table:
    """Return a table of the methods of stage 1, with the best stage 2 on validation."""
    first = next(iter(grid.judged.values()))
    shared = {dataset: shared_stage2(rows) for dataset, rows in grid.judged.items()}
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
            cells.append(str(row.number_of_runs(grid.split)))
        table.append([marked(first[name]), *cells])
    return Table(['method', *header], table)


def shared_stage2(rows: Mapping[str, Row]) -> set[str]:
    """Return the ways of stage 2 that all methods with a stage 2 have."""
    by_method: dict[str, set[str]] = {}
    for row in rows.values():
        if row.stage2:
            by_method.setdefault(row.method, set()).add(row.stage2)
    return set.intersection(*by_method.values()) if by_method else set()


def means(rows: Mapping[str, Row], split: str) -> Table:
    """Return a table of all rows of a data set, with means over runs, best first."""

    def runs_of(row: Row) -> str:
        number = row.number_of_runs(split)
        expected = expected_runs(row.method, rows)
        return f'{number} of {expected}' if number < expected else str(number)

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
                runs_of(row),
            ]
            for row in order
        ],
    )


def compared(comparison: Comparison) -> dict:
    """Return paired differences from the best row without metric learning."""
    order = sorted(
        comparison.rows,
        key=lambda name: -comparison.metrics[name]['balanced_accuracy'][0],
    )
    best = comparison.best_plain
    return dict(
        images=sum(len(fold.labels) for fold in comparison.folds.values()),
        folds=len(comparison.folds),
        resamples=comparison.resamples,
        best=best,
        caution=comparison.caution,
        not_compared=Counter(name.split(' + ')[0] for name in comparison.not_compared),
        table=differences_from(comparison, best, order),
    )


def differences_from(
    comparison: Comparison, baseline: str, names: Sequence[str]
) -> Table:
    """Return a table of rows, each with its paired difference from one of them."""
    header = [each for m in JUDGED_BY for each in (TITLES[m], 'difference')]
    rows = [
        [marked(comparison.rows[n]), *_with_difference(comparison, n, n, baseline)]
        for n in names
    ]
    return Table(['method', *header], rows)


def ranks(tables: Mapping[str, Mapping[str, Row]], split: str) -> dict | None:
    """Return a table of means over all data sets and folds, sorted by mean rank.

    Ranks are those of means over seeds. Rows that lack a fold are not ranked. With
    fewer than two rows, the result is ``None``.
    """
    scores: dict[str, dict[tuple, dict[str, float]]] = {}
    titles = {}
    for dataset, rows in tables.items():
        for row in rows.values():
            titles[row.name] = marked(row)
            for fold in row.folds:
                seed_scores = _scores_of_seeds(row, fold, split)
                if seed_scores:
                    scores.setdefault(row.name, {})[dataset, fold] = {
                        metric: mean(each[metric] for each in seed_scores)
                        for metric in JUDGED_BY
                    }
    folds = {fold for by_fold in scores.values() for fold in by_fold}
    ranked = {
        name: by_fold for name, by_fold in scores.items() if len(by_fold) == len(folds)
    }
    if len(ranked) < 2:
        return None
    places: dict[str, list[float]] = {name: [] for name in ranked}
    for fold in folds:
        values = np.array([each[fold]['balanced_accuracy'] for each in ranked.values()])
        for name, value in zip(ranked, values, strict=True):
            above, equal = (values > value).sum(), (values == value).sum()
            places[name].append(above + (equal + 1) / 2)
    mean_ranks = {name: mean(fold_ranks) for name, fold_ranks in places.items()}
    table = [
        [
            titles[name],
            f'{mean_ranks[name]:.1f}',
            *(
                f'{mean(each[metric] for each in ranked[name].values()):.1f}'
                for metric in JUDGED_BY
            ),
        ]
        for name in sorted(mean_ranks, key=mean_ranks.get)
    ]
    header = ['method', 'mean rank', *(TITLES[metric] for metric in JUDGED_BY)]
    return dict(folds=len(folds), table=Table(header, table))


def _scores_of_seeds(row: Row, fold: int | None, split: str) -> list[dict[str, float]]:
    """Return the metrics of all seeds on a fold, without those that diverged."""
    scores = [run.get(split) or {} for (of, _), run in row.runs.items() if of == fold]
    return [each for each in scores if 'balanced_accuracy' in each]


def _with_difference(
    comparison: Comparison, name: str, higher: str, lower: str
) -> list[Cell]:
    """Return the cells of a row: each metric of ``name``, and ``higher`` - ``lower``.

    A difference is bold if its interval does not contain 0 and groups are not too few.
    """
    cells: list[Cell] = []
    for metric in JUDGED_BY:
        values = comparison.metrics[name][metric]
        cells.append(estimate(metric, values[0], values[1:]))
        if higher == lower:
            cells.append('-')
        else:
            gains = comparison.difference(higher, lower, metric)
            bold = not comparison.caution
            cells.append(estimate_difference(metric, gains[0], gains[1:], bold))
    return cells


def marked(row: Row) -> str:
    """Return the name of a row, with a star if it has a metric loss."""
    return f'{row.name} *' if row.has_metric_loss else row.name
