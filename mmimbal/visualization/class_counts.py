"""Draw the number of images of each class in each split."""

from collections.abc import Mapping, Sequence

import numpy as np

from mmimbal.visualization.figure import Figure
from mmimbal.visualization.names import columns_of, legend_name, plain, plain_names
from mmimbal.visualization.style import COLOURS


def draw_class_counts(
    counts: Mapping[str, Sequence[int]], classes: Sequence[str]
) -> Figure:
    """Draw class counts as bars, on a logarithmic scale, the most common class first.

    Args:
        counts: Images per class, (K,), for each split.
        classes: K class names.
    """
    table = np.array(list(counts.values()))
    order = np.argsort(-table.sum(0), kind='stable')
    places = np.arange(len(classes))
    width = 0.8 / len(table)
    names = plain_names(classes)
    height = 3.6 + 0.055 * max(map(columns_of, names))  # names are turned by 45 degrees
    figure = Figure(
        figsize=(max(6, 0.55 * len(classes) + 2), height), layout='constrained'
    )
    axes = figure.subplots()
    for number, (split, row) in enumerate(zip(counts, table, strict=True)):
        offset = width * (number - (len(table) - 1) / 2)
        axes.bar(
            places + offset,
            row[order],
            width,
            label=legend_name(plain(split) or 'all'),
            color=COLOURS[(number + 1) % len(COLOURS)],
        )
    axes.set_yscale('symlog', linthresh=1)
    axes.set_ylabel('images')
    axes.set_xticks(places, [names[k] for k in order], rotation=45, ha='right')
    axes.spines[['top', 'right']].set_visible(False)
    axes.grid(axis='y', alpha=0.3)
    axes.legend(frameon=False)
    return figure
