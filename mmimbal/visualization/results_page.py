"""A page of tables, from the results of experiments and from nothing else."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import mean

import numpy as np

from mmimbal.evaluation.bootstrap import RESAMPLES, interval
from mmimbal.evaluation.comparison import JUDGED_BY, Comparison
from mmimbal.evaluation.findings import Findings, read_findings
from mmimbal.evaluation.rows import Row, wanted_runs
from mmimbal.evaluation.table import mean_and_spread
from mmimbal.visualization.differences import draw_differences
from mmimbal.visualization.markdown import folded, markdown
from mmimbal.whole_files import whole

TITLES = dict(
    balanced_accuracy='balanced accuracy',
    macro_f1='macro F1',
    worst_recall='worst class',
    auroc='AUROC',
    ece='ECE',
)


def write_page(results: Path, page: Path, resamples: int = RESAMPLES) -> None:
    """Write a page of the results of all grids in a folder, figures beside it.

    Args:
        results: The folder.
        page: To write, Markdown.
        resamples: Of the bootstrap over groups.

    Raises:
        FileNotFoundError: If there is no result.
        ValueError: If runs to compare were tested on different images.
    """
    grids = list(results.glob('*/grid.json'))
    if not grids:
        raise FileNotFoundError(f'no results in {results}')
    text = [
        '# Results',
        '',
        'Written by `tools/benchmark.py GRID --page-only` from the JSON files in '
        f'`{results.name}/`, and by nothing else.',
    ]
    page.parent.mkdir(parents=True, exist_ok=True)
    findings = [read_findings(grid.parent, resamples) for grid in grids]
    for found in sorted(findings, key=lambda found: (found.split, found.name)):
        picture = page.with_name(f'{page.stem}_{found.name}.png')
        text += ['', *section(found, picture.name)]
        if found.comparisons and found.best:
            figure = draw_differences(found.comparisons, found.chosen)
            with whole(picture) as unfinished:
                figure.savefig(unfinished, format='png', dpi=120)
    with whole(page) as unfinished:
        unfinished.write_text('\n'.join(text) + '\n', encoding='utf-8')


def section(findings: Findings, picture: str) -> Iterator[str]:
    """Yield the lines about one grid."""
    split = findings.split
    done = sum(findings.devices.values())
    runs = [f'{number} on {name}' for name, number in sorted(findings.devices.items())]
    yield f'## {findings.about["title"]}'
    yield ''
    yield (
        f'`tools/benchmark.py configs/grids/{findings.name}.py`. All in %, mean ± '
        'standard deviation over runs (folds and seeds). Batch norm in stage 2 is '
        f'frozen. {"Validation" if split == "val" else "Test"} images; '
        'hyper-parameters of stage 2 are chosen on validation. Rows with metric '
        'learning are marked \\*.'
    )
    yield ''
    number = len(findings.about['experiments'])
    yield '; '.join([f'Experiments: {done} of {number}', *runs])
    if findings.about['notes']:
        yield from ('', findings.about['notes'])
    if findings.strangers:
        names = ', '.join(findings.strangers)
        yield from ('', f'Not read, since the grid has them no more: {names}.')
    if not done:
        return
    if findings.comparisons and findings.best:
        yield from headline(findings, picture)
    yield from by_method(findings)
    for dataset, rows in findings.tables.items():
        yield from ('', f'### {dataset}', '')
        yield from folded(f'All {len(rows)} rows', table_of(rows, split))
        if dataset in findings.comparisons:
            yield from compared(findings.comparisons[dataset])
    if len(findings.tables) > 1 or split == 'test':
        yield from ranks(findings.tables, split)


def by_method(findings: Findings) -> Iterator[str]:
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
            line = line or [_marked(row)]
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
                _marked(row),
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
        line = [_marked(comparison.rows[name])]
        for metric in JUDGED_BY:
            line.append(_with_bounds(comparison.found[name][metric]))
            line.append('-' if name == best else _gain(comparison, name, best, metric))
        cells.append(line)
    title = f'Differences of {len(cells) - 1} rows to {best}'
    yield from folded(title, markdown(header, cells))


def headline(findings: Findings, picture: str) -> Iterator[str]:
    """Yield whether the best recipe with metric learning is above what has none."""
    recipe, plain = findings.best
    yield from ('', '### With and without metric learning', '')
    yield (
        f'Chosen on validation, one for all data sets: **{recipe}** with metric '
        f'learning, {plain} without. Beside them stands what does best on test without '
        'metric learning, a choice in its favour. Gain: how far the recipe is above a '
        'row; paired, with 95% intervals over groups, bold where they do not hold 0: '
        'over the images that a study happens to have, not over seeds. Where folds '
        'validate on images that others test, the choice has seen some of the labels.'
    )
    yield ''
    cells = []
    for dataset, one in findings.comparisons.items():
        if one.caution:
            yield from (f'{dataset}: {one.caution}', '')
        for name in dict.fromkeys((recipe, plain, one.best_plain)):
            line = [dataset, _marked(one.rows[name])]
            for metric in JUDGED_BY:
                line.append(_with_bounds(one.found[name][metric]))
                line.append('-' if name == recipe else _gain(one, recipe, name, metric))
            cells.append(line)
    header = ['data set', 'row']
    for metric in JUDGED_BY:
        header += [TITLES[metric], 'gain']
    yield from markdown(header, cells)
    yield ''
    yield f'![Differences to the best row without metric learning]({picture})'
    yield ''
    yield (
        'Each method of stage 1 with the stage 2 that validation chose, against the '
        'best row without metric learning.'
    )


def ranks(tables: Mapping[str, Mapping[str, Row]], split: str) -> Iterator[str]:
    """Yield a table of means over all data sets and folds, by mean rank.

    Of several seeds, the mean is ranked.
    """
    scores: dict[str, dict[tuple, dict[str, float]]] = {}
    marked = {}
    for dataset, rows in tables.items():
        for row in rows.values():
            marked[row.name] = _marked(row)
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
                marked[name],
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


def _marked(row: Row) -> str:
    return f'{row.name} \\*' if row.metric else row.name


def _gain(comparison: Comparison, name: str, other: str, metric: str) -> str:
    """Return by how much one row is above another; bold if that is sure."""
    values = comparison.difference(name, other, metric)
    low, high = interval(values[1:])
    sure = not comparison.caution and (low > 0 or high < 0)
    text = _with_bounds(values, '+')
    return f'**{text}**' if sure else text


def _with_bounds(values: np.ndarray, sign: str = '') -> str:
    """Return what was measured and its interval: the first value, and the others."""
    low, high = interval(values[1:])
    return f'{values[0]:{sign}.1f} [{low:.1f}, {high:.1f}]'
