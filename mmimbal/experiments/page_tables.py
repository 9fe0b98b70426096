"""The tables of the page of results, as lines of Markdown."""

from collections import Counter
from collections.abc import Iterator, Mapping
from statistics import mean

import numpy as np

from mmimbal.evaluation.bootstrap import interval
from mmimbal.evaluation.table import mean_and_spread
from mmimbal.experiments.comparison import JUDGED_BY, Comparison
from mmimbal.experiments.grid_results import GridResults
from mmimbal.experiments.markdown import folded, markdown
from mmimbal.experiments.rows import Row, wanted_runs

TITLES = dict(
    balanced_accuracy='balanced accuracy',
    macro_f1='macro F1',
    worst_recall='worst class',
    auroc='AUROC',
    ece='ECE',
)


def by_method(findings: GridResults) -> Iterator[str]:
    """Yield a table of the methods of stage 1, each with one stage 2."""
    split = findings.split
    yield from ('', '### Methods of stage 1', '')
    yield (
        'Each with the stage 2 that does best on validation, one for all data sets, in '
        'the order of validation, what lacks runs below; and the mean over the ways '
        'of stage 2 that all of them have, which depends less on chance.'
    )
    yield ''
    shared = {dataset: shared_stage2(rows) for dataset, rows in findings.judged.items()}
    header = ['method']
    for dataset in findings.judged:
        names = (*(TITLES[metric] for metric in JUDGED_BY), 'mean of stage 2', 'runs')
        header += [f'{dataset}: {name}' for name in names]
    cells = []
    for name in findings.chosen:
        line: list[str] = []
        for dataset, rows in findings.judged.items():
            row = rows[name]
            line = line or [marked(row)]
            line += [mean_and_spread(row.values(split, metric)) for metric in JUDGED_BY]
            means = [
                other.mean(split, 'balanced_accuracy')
                for other in rows.values()
                if other.method == row.method and other.stage2 in shared[dataset]
            ]
            line += [f'{mean(means):.1f}' if means else '-', str(row.number(split))]
        cells.append(line)
    yield from markdown(header, cells)


def shared_stage2(rows: Mapping[str, Row]) -> set[str]:
    """Return the ways of stage 2 that each method has, of those that have any."""
    found: dict[str, set[str]] = {}
    for row in rows.values():
        if row.stage2:
            found.setdefault(row.method, set()).add(row.stage2)
    return set.intersection(*found.values()) if found else set()


def table_of(rows: Mapping[str, Row], split: str) -> Iterator[str]:
    """Yield a table of all rows, the best first."""

    def runs_of(row: Row) -> str:
        number, wanted = row.number(split), wanted_runs(row.method, rows)
        return f'{number} of {wanted}' if number < wanted else str(number)

    order = sorted(rows.values(), key=lambda row: -row.mean(split, 'balanced_accuracy'))
    splits = ['val'] if split == 'val' else ['val', 'test']
    columns = [
        (each, metric)
        for each in splits
        for metric in (TITLES if each == split else ('balanced_accuracy',))
    ]
    header = ['method']
    header += [f'{name} ({each})' for each, m in columns for name in [TITLES[m]]]
    yield from markdown(
        [*header, 'runs'],
        [
            [
                marked(row),
                *(mean_and_spread(row.values(*column)) for column in columns),
                runs_of(row),
            ]
            for row in order
        ],
    )


def compared(comparison: Comparison) -> Iterator[str]:
    """Yield a table of paired differences to the best row without metric learning."""
    best = comparison.best_plain
    if best is None or len(comparison.rows) == 1:
        return
    yield ''
    images = sum(len(fold.labels) for fold in comparison.folds.values())
    yield (
        f'{images} test images, those of {len(comparison.folds)} folds pooled; 95% '
        f'intervals from {comparison.resamples} resamples of groups (lesions, patients '
        'or smears), paired; bold where they do not hold 0. Best row without metric '
        f'learning: **{best}**. {comparison.caution}'.rstrip()
    )
    if comparison.left_out:
        methods = Counter(name.split(' + ')[0] for name in comparison.left_out)
        names = ', '.join(f'{name} ({rows})' for name, rows in methods.items())
        yield ''
        yield f'Rows left out, since runs are missing or have diverged: {names}.'
    yield ''
    header = ['method']
    for metric in JUDGED_BY:
        header += [TITLES[metric], 'difference']
    order = sorted(
        comparison.rows,
        key=lambda name: -comparison.found[name]['balanced_accuracy'][0],
    )
    cells = []
    for name in order:
        line = [marked(comparison.rows[name])]
        for metric in JUDGED_BY:
            line.append(with_bounds(comparison.found[name][metric]))
            line.append('-' if name == best else gain(comparison, name, best, metric))
        cells.append(line)
    title = f'Differences of {len(cells) - 1} rows to {best}'
    yield from folded(title, markdown(header, cells))


def ranks(tables: Mapping[str, Mapping[str, Row]], split: str) -> Iterator[str]:
    """Yield a table of means over all data sets and folds, by mean rank.

    Of several seeds, the mean is ranked.
    """
    scores: dict[str, dict[tuple, dict[str, float]]] = {}
    names = {}
    for dataset, rows in tables.items():
        for row in rows.values():
            names[row.name] = marked(row)
            for fold in row.folds:
                of_seeds = [
                    found[split]
                    for (where, _), found in row.runs.items()
                    if where == fold and 'balanced_accuracy' in (found.get(split) or {})
                ]
                if of_seeds:
                    scores.setdefault(row.name, {})[dataset, fold] = {
                        metric: mean(found[metric] for found in of_seeds)
                        for metric in JUDGED_BY
                    }
    runs = {run for found in scores.values() for run in found}
    full = {name: found for name, found in scores.items() if len(found) == len(runs)}
    if len(full) < 2:
        return
    places: dict[str, list[float]] = {name: [] for name in full}
    for run in runs:
        values = np.array([found[run]['balanced_accuracy'] for found in full.values()])
        for name, value in zip(full, values, strict=True):
            above, equal = (values > value).sum(), (values == value).sum()
            places[name].append(above + (equal + 1) / 2)
    yield from ('', '### Mean rank', '')
    yield f'By balanced accuracy, of {len(full)} rows; means over {len(runs)} folds.'
    yield ''
    table = markdown(
        ['method', 'mean rank', *(TITLES[metric] for metric in JUDGED_BY)],
        [
            [
                names[name],
                f'{mean(found):.1f}',
                *(
                    f'{mean(run[metric] for run in full[name].values()):.1f}'
                    for metric in JUDGED_BY
                ),
            ]
            for name, found in sorted(places.items(), key=lambda item: mean(item[1]))
        ],
    )
    yield from folded(f'{len(full)} rows', table)


def gain(comparison: Comparison, name: str, other: str, metric: str) -> str:
    """Return by how much one row is above another; bold if that is sure."""
    values = comparison.difference(name, other, metric)
    low, high = interval(values[1:])
    sure = not comparison.caution and (low > 0 or high < 0)
    text = with_bounds(values, '+')
    return f'**{text}**' if sure else text


def with_bounds(values: np.ndarray, sign: str = '') -> str:
    """Return what was measured and its interval: the first value, and the others."""
    low, high = interval(values[1:])
    return f'{values[0]:{sign}.1f} [{low:.1f}, {high:.1f}]'


def marked(row: Row) -> str:
    """Return the name of a row, marked if it has a metric loss."""
    return f'{row.name} \\*' if row.metric else row.name
