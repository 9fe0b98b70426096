"""Draw the differences of methods from the best one without metric learning."""

from collections.abc import Collection, Mapping

import numpy as np

from mmimbal.evaluation.bootstrap import interval
from mmimbal.visualization.figure import Figure
from mmimbal.visualization.names import columns_of, plain, plain_names
from mmimbal.visualization.style import COLOURS

COLUMN = 0.085  # inches of a letter


def draw_differences(
    differences: Mapping[str, Mapping[str, np.ndarray]],
    against: Mapping[str, str],
    with_metric: Collection[str],
) -> Figure:
    """Draw differences in balanced accuracy with their 95% intervals.

    Args:
        differences: For each data set (a panel) and each row (from top to bottom), the
            measured difference and R resamples, (1 + R,), in percentage points.
        against: For each data set, the row that the others are compared with.
        with_metric: Names of the rows with metric learning.
    """
    names = list(next(iter(differences.values())))
    shown = plain_names(names)
    titles = [f'{plain(d)}\nagainst {plain(against[d], 36)}' for d in differences]
    longest = max(columns_of(line) for title in titles for line in title.split('\n'))
    beside = max(3.2, COLUMN * (4 + max(map(columns_of, shown))))
    panel = max(3.4, COLUMN * longest)
    places = range(len(names), 0, -1)
    figure = Figure(
        figsize=(beside + panel * len(differences), 1.2 + 0.3 * len(names)),
        layout='constrained',
    )
    panels = figure.subplots(1, len(differences), sharey=True, squeeze=False)[0]
    for axes, title, by_row in zip(panels, titles, differences.values(), strict=True):
        axes.axvline(0, color='#888888', linewidth=1, linestyle=':')
        for place, name in zip(places, names, strict=True):
            values = by_row[name]
            colour = COLOURS[name in with_metric]
            axes.plot(interval(values[1:]), (place, place), color=colour, linewidth=2)
            axes.plot(values[0], place, color=colour, marker='o')
        axes.set_title(title, fontsize=10)
        axes.set_xlabel('balanced accuracy, points')
        axes.grid(axis='x', alpha=0.3)
        axes.spines[['top', 'right']].set_visible(False)
    panels[0].set_yticks(places, shown)
    panels[0].set_ylim(0.4, len(names) + 0.6)
    for colour, label in zip(COLOURS, ('without', 'with'), strict=False):
        panels[0].plot([], [], color=colour, marker='o', label=label)
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        title='metric learning',
        loc='outside lower center',
        ncols=2,
        frameon=False,
    )
    return figure
