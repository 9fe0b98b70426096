"""A page of tables, from the results of experiments and from nothing else."""

from collections.abc import Iterator
from pathlib import Path

from matplotlib.figure import Figure

from mmimbal.evaluation.bootstrap import RESAMPLES
from mmimbal.experiments.comparison import JUDGED_BY
from mmimbal.experiments.grid_results import GridResults, read_grid_results
from mmimbal.experiments.markdown import folded, markdown
from mmimbal.experiments.page_tables import (
    TITLES,
    by_method,
    compared,
    gain,
    marked,
    ranks,
    table_of,
    with_bounds,
)
from mmimbal.files.atomic import atomic_write, check_is_no_folder, write_text
from mmimbal.visualization.differences import draw_differences


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
    check_is_no_folder(page)
    findings = [read_grid_results(grid.parent, resamples) for grid in grids]
    for found in sorted(findings, key=lambda found: (found.split, found.name)):
        picture = page.with_name(f'{page.stem}_{found.name}.png')
        text += ['', *section(found, picture.name)]
        if found.comparisons and found.best:
            figure = _draw_differences(found)
            with atomic_write(picture) as unfinished:
                figure.savefig(unfinished, format='png', dpi=120)
    write_text('\n'.join(text) + '\n', page)


def section(findings: GridResults, picture: str) -> Iterator[str]:
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


def headline(findings: GridResults, picture: str) -> Iterator[str]:
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
            line = [dataset, marked(one.rows[name])]
            for metric in JUDGED_BY:
                line.append(with_bounds(one.found[name][metric]))
                line.append('-' if name == recipe else gain(one, recipe, name, metric))
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


def _draw_differences(found: GridResults) -> Figure:
    """Draw the chosen rows against the best row without metric learning."""
    metric = 'balanced_accuracy'
    compared_to_best = {
        dataset: {
            name: one.difference(name, one.best_plain, metric) for name in found.chosen
        }
        for dataset, one in found.comparisons.items()
    }
    against = {dataset: one.best_plain for dataset, one in found.comparisons.items()}
    rows = next(iter(found.judged.values()))
    with_metric = {name for name in found.chosen if rows[name].metric}
    return draw_differences(compared_to_best, against, with_metric)
