"""Draw plug-in effects: a recipe minus its controls for each way of stage 2."""

from collections.abc import Mapping

import numpy as np
from matplotlib.lines import Line2D

from mmimbal.evaluation.bootstrap import interval
from mmimbal.visualization.figure import Figure
from mmimbal.visualization.names import plain, plain_names
from mmimbal.visualization.style import line_of

Effects = Mapping[tuple[str, str], Mapping[str, np.ndarray]]


def draw_plug_in_effects(by_dataset: Mapping[str, Effects], metric: str) -> Figure:
    """Draw differences with their 95% intervals.

    Args:
        by_dataset: For each data set (a panel), for each pair (recipe, control), for
            each way of stage 2: the measured difference and R resamples, (1 + R,), in
            percentage points. The last way is the mean.
        metric: Name of the metric, for the axis.
    """
    every = [by_way for effects in by_dataset.values() for by_way in effects.values()]
    ways = list(dict.fromkeys(way for by_way in every for way in list(by_way)[:-1]))
    ways.append(list(every[0])[-1])  # the mean
    places = np.arange(len(ways), 0, -1)
    pairs = list(dict.fromkeys(pair for each in by_dataset.values() for pair in each))
    lines = {pair: line_of(number) for number, pair in enumerate(pairs)}
    shifts = dict(zip(pairs, np.linspace(0.15, -0.15, len(pairs)), strict=True))
    longest = 0.7 + 0.085 * max(len(_label(pair)) for pair in pairs)  # in the legend
    width = max(2.4 + 3.4 * len(by_dataset), longest)
    columns = 2 if 2 * longest <= width else 1
    figure = Figure(
        figsize=(width, 1.2 + 0.34 * len(ways) + 0.22 * -(-len(pairs) // columns)),
        layout='constrained',
    )
    panels = figure.subplots(1, len(by_dataset), sharey=True, squeeze=False)[0]
    for axes, (dataset, effects) in zip(panels, by_dataset.items(), strict=True):
        axes.axvline(0, color='#888888', linewidth=1, linestyle=':')
        for pair, by_way in effects.items():
            line = lines[pair]
            for place, way in zip(places + shifts[pair], ways, strict=True):
                if way not in by_way:  # a head has diverged, or is not trained yet
                    continue
                values = by_way[way]
                axes.plot(interval(values[1:]), (place, place), **line)
                axes.plot(values[0], place, **line, marker='o', markersize=4)
        axes.axhline(1.5, color='#bbbbbb', linewidth=0.8)
        axes.set_title(plain(dataset), fontsize=10)
        axes.set_xlabel(f'{metric}, points')
        axes.grid(axis='x', alpha=0.3)
        axes.spines[['top', 'right']].set_visible(False)
    panels[0].set_yticks(places, plain_names(ways))
    panels[0].set_ylim(0.4, len(ways) + 0.6)
    handles = [
        Line2D([], [], **lines[pair], marker='o', label=_label(pair)) for pair in pairs
    ]
    figure.legend(
        handles=handles,
        loc='outside lower center',
        ncols=columns,
        frameon=False,
    )
    return figure


def _label(pair: tuple[str, str]) -> str:
    return ' minus '.join(map(plain, pair))
