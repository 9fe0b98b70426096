"""Draw the recall of each class against its number of images."""

from collections.abc import Mapping, Sequence

import numpy as np

from mmimbal.visualization.figure import Figure
from mmimbal.visualization.names import columns_of, legend_name, plain_names
from mmimbal.visualization.style import line_of

MOST_NAMES = 100  # of classes; with more, there are no names
CROWDED = 80  # columns of letters below the axis; with more, labels are rotated


def draw_recall_by_count(
    recalls: Mapping[str, np.ndarray],
    counts: Sequence[int],
    classes: Sequence[str],
    images: str = 'training',
) -> Figure:
    """Draw the recall of each class, from the most common class to the rarest.

    Args:
        recalls: For each method, recall in % of each class in each run, (R, K). The
            figure shows the mean over runs, with the standard deviation as error bar.
        counts: Images per class, (K,).
        classes: K class names.
        images: Kind of images in ``counts``: ``'training'`` or ``'test'``.
    """
    order = np.argsort(-np.asarray(counts), kind='stable')
    places = np.arange(len(order))
    shown = plain_names(classes)
    longest = max(map(columns_of, shown))
    widest = max(longest, *(len(str(count)) for count in counts))  # below the name
    named = len(classes) <= MOST_NAMES
    crowded = named and (widest + 1) * len(classes) > CROWDED
    width = max(7.5, 0.5 * len(classes)) if crowded else 7.5
    height = 4.2 + 0.055 * max(0, longest - 16) if crowded else 4.2
    figure = Figure(figsize=(width, height), layout='constrained')
    axes = figure.subplots()
    methods = plain_names(recalls)
    for number, (method, values) in enumerate(
        zip(methods, recalls.values(), strict=True)
    ):
        values = np.asarray(values)[:, order]
        axes.errorbar(
            places + 0.12 * (number - (len(recalls) - 1) / 2),
            values.mean(axis=0),
            values.std(axis=0, ddof=1) if len(values) > 1 else None,
            label=legend_name(method),
            **line_of(number),
            marker='o',
            markersize=5,
            linewidth=1.5,
            capsize=2,
        )
    between = ' ' if crowded else '\n'
    turned = dict(rotation=45, ha='right', rotation_mode='anchor') if crowded else {}
    names = [f'{shown[label]}{between}{counts[label]}' for label in order]
    if named:
        axes.set_xticks(places, names, **turned)
        axes.set_xlabel(f'class, and its {images} images')
    else:
        axes.set_xlabel(f'class, from most to fewest {images} images')
    axes.set_ylabel('recall, %')
    axes.set_ylim(0, 103)
    axes.grid(axis='y', alpha=0.3)
    axes.spines[['top', 'right']].set_visible(False)
    axes.legend(frameon=False, loc='lower left')
    return figure
