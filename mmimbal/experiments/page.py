"""Write pages of tables from the results of experiments."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mmimbal.evaluation.bootstrap import RESAMPLES
from mmimbal.experiments.grid_results import GridResults, read_grid_results
from mmimbal.experiments.page_tables import (
    TITLES,
    compared,
    devices,
    headline,
    means,
    methods_of_stage1,
    plug_in,
)
from mmimbal.experiments.plug_in import PlugInEffect
from mmimbal.experiments.ranks import ranks
from mmimbal.files.atomic import atomic_write, check_can_be_file, write_text
from mmimbal.files.json_file import read_json
from mmimbal.visualization.differences import draw_differences
from mmimbal.visualization.plug_in import draw_plug_in_effects
from mmimbal.visualization.templating import render

SPLIT_NAMES = {'val': 'validation', 'test': 'test'}


def check_is_page(path: Path) -> None:
    """Refuse to replace a file that no tool of ours has written.

    Raises:
        FileExistsError: If there is such a file.
    """
    if path.is_file() and 'written by `tools/' not in path.read_text('utf-8', 'ignore'):
        raise FileExistsError(
            f'{path} is not a page that this tool has written, and would be replaced: '
            'name another file, or move this one'
        )


def write_page(
    folder: Path, page: Path, resamples: int = RESAMPLES, command: str = ''
) -> None:
    """Write a Markdown page with the results of a grid, and its figures.

    Args:
        folder: Folder of the results of the grid.
        page: File to write; figures are written to the same folder.
        resamples: Number of resamples of groups (bootstrap).
        command: What follows ``tools/benchmark.py`` to write this page, but for
            ``--page-only``; default: the file in ``configs/grids/``.

    Raises:
        FileNotFoundError: If there are no results.
        ValueError: If runs that are compared were tested on different images.
    """
    check_can_be_file(page)
    grid = read_grid_results(folder, resamples)
    picture = page.with_name(f'{page.stem}.png')
    effects = {
        'balanced_accuracy': page.with_name(f'{page.stem}_plug_in.png'),
        'macro_f1': page.with_name(f'{page.stem}_plug_in_macro_f1.png'),
    }
    if grid.comparisons and grid.best:
        _save(_draw_differences(grid), picture)
    for metric, file in effects.items() if grid.plug_in_effects else ():
        by_way = effects_by_way(grid.plug_in_effects, metric)
        _save(draw_plug_in_effects(by_way, TITLES[metric]), file)
    # A path of this machine says nothing to readers.
    shown = folder.name if folder.is_absolute() else folder.as_posix()
    pictures = {TITLES[metric]: file.name for metric, file in effects.items()}
    section = _section(grid, picture.name, pictures)
    command = command or f'configs/grids/{grid.name}.py'
    text = render(
        'mmimbal.experiments', 'grid.md', results=shown, grid=section, command=command
    )
    write_text(text, page)


def write_index(results: Path, index: Path) -> None:
    """Write a Markdown page that lists the pages of all grids.

    Args:
        results: Folder of the results of all grids.
        index: File to write. The page of a grid is ``GRID.md`` in a folder beside it,
            which has the name of the file without suffix.
    """
    check_can_be_file(index)
    grids = []
    for file in results.glob('*/grid.json'):
        about, name = read_json(file), file.parent.name
        experiments = set(about['experiments'])
        done = {run.stem for run in file.parent.glob('runs/*.json')} & experiments
        grids.append(
            dict(
                title=about['title'],
                page=f'{index.stem}/{name}.md',
                split=SPLIT_NAMES[about['judged_on']],
                datasets=about['datasets'],
                done=len(done),
                experiments=len(experiments),
            )
        )
    grids.sort(key=lambda grid: (grid['split'], grid['page']))
    write_text(render('mmimbal.experiments', 'results.md', grids=grids), index)


def _save(figure: Figure, file: Path) -> None:
    with atomic_write(file) as unfinished:
        figure.savefig(unfinished, format='png', dpi=120)


def _section(grid: GridResults, picture: str, effects: Mapping[str, str]) -> dict:
    """Return the values of a section of the page; without results, no tables.

    Args:
        grid: Results of the grid.
        picture: Name of the file with the figure of differences.
        effects: Names of the files with the figures of plug-in effects, by metric.
    """
    plugged = grid.plug_in_effects
    done = sum(grid.devices.values())
    several = len(grid.tables) > 1 or grid.split == 'test'
    return dict(
        title=grid.about['title'],
        split=grid.split,
        search=grid.about.get('search', True),
        done=done,
        experiments=len(grid.about['experiments']),
        devices=dict(sorted(grid.devices.items())),
        notes=grid.about['notes'],
        not_shown=grid.not_in_grid,
        unfinished=grid.unfinished,
        remarks=grid.remarks,
        plug_in=dict(table=plug_in(plugged, grid.comparisons), pictures=effects)
        if plugged
        else None,
        headline=_headline(grid, picture) if grid.comparisons and grid.best else None,
        methods=methods_of_stage1(grid) if done else None,
        datasets=[_dataset(grid, name) for name in grid.tables],
        ranks=ranks(grid.tables, grid.split) if several else None,
    )


def _headline(grid: GridResults, picture: str) -> dict:
    """Return the comparison of the best recipe with and without metric learning."""
    recipe, plain = grid.best
    comparisons = grid.comparisons.items()
    return dict(
        recipe=recipe,
        plain=plain,
        compared=max(len(rows) for rows in grid.judged.values()),
        seeds=any(
            len(each.rows[recipe].seeds) > 1 for each in grid.comparisons.values()
        ),
        cautions={
            name: caution for name, each in comparisons if (caution := each.caution())
        },
        table=headline(grid.comparisons, recipe, plain),
        picture=picture,
    )


def _dataset(grid: GridResults, name: str) -> dict:
    """Return the table of a data set, and paired differences if possible.

    Differences need at least two rows, one of them without metric learning.
    """
    comparison = grid.comparisons.get(name)
    comparable = comparison and comparison.best_plain and len(comparison.rows) > 1
    return dict(
        name=name,
        table=means(grid.tables[name], grid.split),
        devices=devices(grid.tables[name]),
        comparison=compared(comparison) if comparable else None,
    )


def _draw_differences(grid: GridResults) -> Figure:
    """Draw the chosen rows against the best row without metric learning."""
    differences = {
        dataset: {
            name: comparison.difference(
                name, comparison.best_plain, 'balanced_accuracy'
            )
            for name in grid.chosen
        }
        for dataset, comparison in grid.comparisons.items()
    }
    against = {dataset: each.best_plain for dataset, each in grid.comparisons.items()}
    rows = next(iter(grid.judged.values()))
    with_metric = {name for name in grid.chosen if rows[name].has_metric_loss}
    return draw_differences(differences, against, with_metric)


def effects_by_way(
    effects: Mapping[str, Sequence[PlugInEffect]], metric: str
) -> dict[str, dict[tuple[str, str], dict[str, np.ndarray]]]:
    """Return differences by data set, pair and way of stage 2, with their mean.

    Args:
        effects: Plug-in effects of each data set.
        metric: Name of the metric.
    """
    return {
        dataset: {
            (effect.recipe, effect.control): {
                **{way: each[metric] for way, each in effect.differences.items()},
                'mean': effect.mean(metric),
            }
            for effect in of_dataset
        }
        for dataset, of_dataset in effects.items()
    }
