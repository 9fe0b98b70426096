"""Figures of one or several runs, from their predictions."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes

from mmimbal.evaluation.abstention import risk_coverage
from mmimbal.evaluation.calibration import reliability
from mmimbal.evaluation.confusion import divide
from mmimbal.evaluation.predictions import Predictions
from mmimbal.evaluation.ranking import ranked
from mmimbal.visualization.figure import Figure
from mmimbal.visualization.names import columns_of, legend_name, plain_names, wrapped
from mmimbal.visualization.style import line_of

Runs = Mapping[str, Predictions]
Value = TypeVar('Value')
MARKERS = 'osD^vP*X'
MOST_CLASSES = 40  # in a figure with a row or a panel for each class


def largest_classes(run: Predictions) -> np.ndarray:
    """Return the classes that are drawn one by one, those with most images."""
    counts = np.bincount(run.labels, minlength=len(run.classes))
    return np.sort(np.argsort(-counts, kind='stable')[:MOST_CLASSES])


def note_of_classes(run: Predictions) -> str:
    """Return the end of a caption if :func:`largest_classes` are not all."""
    classes = len(run.classes)
    if classes <= MOST_CLASSES:
        return ''
    return f', the {MOST_CLASSES} of {classes} classes with most images'


def draw_confusion(run: Predictions) -> Figure:
    """Draw the confusion matrix; each row is in % of the images of its class."""
    shown = largest_classes(run)
    size = len(shown)
    confusion = confusion_of(run, shown)
    images = np.bincount(run.labels, minlength=len(run.classes))[shown]
    shares = 100 * np.nan_to_num(divide(confusion, images[:, None]))
    names = plain_names([run.classes[label] for label in shown])
    labels = 0.08 * max(0, max(map(columns_of, names)) - 12)
    figure = Figure(figsize=(2.2 + 0.45 * size + labels,) * 2, layout='constrained')
    axes = figure.subplots()
    axes.imshow(shares, 'Blues', vmin=0, vmax=100)
    for row, column in np.ndindex(shares.shape):
        if confusion[row, column]:
            axes.text(
                column,
                row,
                f'{shares[row, column]:.0f}',
                ha='center',
                va='center',
                fontsize=9,
                color='white' if shares[row, column] > 55 else '#222222',
            )
    axes.set_xticks(range(size), names, rotation=90)
    axes.set_yticks(range(size), names)
    axes.set_xlabel('predicted')
    axes.set_ylabel('true')
    return figure


def draw_reliability(runs: Runs) -> Figure:
    """Draw accuracy against confidence; larger dots have more images."""
    figure, axes = _square()
    axes.plot((0, 1), (0, 1), color='#888888', linewidth=1, linestyle=':')
    for number, (name, run) in enumerate(_named(runs)):
        once = np.ones((1, len(run.labels)))
        _, confidence, accuracy, share = reliability(run.scores, run.labels, once)
        line, label = line_of(number), legend_name(name)
        axes.plot(confidence[0], accuracy[0], **line, linewidth=1.2, label=label)
        size, colour = 8 + 200 * share[0], line['color']
        axes.scatter(confidence[0], accuracy[0], size, colour, clip_on=False)
    axes.set_xlabel('confidence')
    axes.set_ylabel('accuracy')
    axes.legend(frameon=False)
    return figure


def draw_risk_coverage(runs: Runs) -> Figure:
    """Draw the share of errors against the share of images that are answered."""
    figure = Figure(figsize=(4.6, 3.6), layout='constrained')
    axes = figure.subplots()
    for number, (name, run) in enumerate(_named(runs)):
        once = np.ones((1, len(run.labels)))
        _, coverage, risk = risk_coverage(run.scores, run.labels, once)
        label = legend_name(name)
        axes.plot(coverage[0], risk[0], **line_of(number), linewidth=1.3, label=label)
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom=0)
    axes.set_xlabel('coverage')
    axes.set_ylabel('risk')
    axes.legend(frameon=False)
    _tidy(axes)
    return figure


def draw_roc(runs: Runs) -> Figure:
    """Draw ROC curves, one panel for each class."""

    def curve(hits: np.ndarray, false_alarms: np.ndarray) -> tuple:
        """Start at 0, because several images may share the highest score."""
        return np.r_[0, false_alarms / false_alarms[-1]], np.r_[0, hits / hits[-1]]

    return _panels(runs, curve, 'false positive rate', 'recall')


def draw_precision_recall(runs: Runs) -> Figure:
    """Draw precision-recall curves, one panel for each class."""

    def curve(hits: np.ndarray, false_alarms: np.ndarray) -> tuple:
        precision = hits / (hits + false_alarms)
        return np.r_[0, hits / hits[-1]], np.r_[precision[0], precision]

    return _panels(runs, curve, 'recall', 'precision')


def draw_embedding(places: np.ndarray, run: Predictions) -> Figure:
    """Draw images at their 2D positions, (N, 2), with a colour for each class."""
    columns = -(-len(run.classes) // 20)
    names = plain_names(run.classes)
    has_legend = len(run.classes) <= MOST_CLASSES
    legend = columns * max(2, 0.6 + 0.08 * max(map(columns_of, names)))
    figure = Figure(figsize=(4 + has_legend * legend, 5), layout='constrained')
    axes = figure.subplots()
    map_ = colormaps['tab10' if len(run.classes) <= 10 else 'tab20']
    common_first = np.argsort(-np.bincount(run.labels, minlength=len(run.classes)))
    for label in common_first:
        chosen = run.labels == label
        if chosen.any():
            axes.scatter(
                *places[chosen].T,
                s=9,
                color=map_(label % map_.N),
                marker=MARKERS[label // map_.N % len(MARKERS)],
                label=legend_name(names[label]),
                linewidths=0,
                rasterized=True,
            )
    axes.set_xticks([])
    axes.set_yticks([])
    if has_legend:
        figure.legend(
            loc='outside right center', ncols=columns, frameon=False, markerscale=2
        )
    return figure


def draw_training(curves: Mapping[str, Mapping[int, float]]) -> Figure:
    """Draw a value that was logged in training.

    Args:
        curves: For each run, the values by epoch; empty if nothing was logged.
    """
    figure = Figure(figsize=(4.6, 3.2), layout='constrained')
    axes = figure.subplots()
    for number, (run, curve) in enumerate(_named(curves)):
        if not curve:
            continue
        axes.plot(
            list(curve),
            list(curve.values()),
            **line_of(number),
            label=legend_name(run),
            marker='.',
        )
    axes.set_xlabel('epoch')
    axes.legend(frameon=False)
    _tidy(axes)
    return figure


def confusion_of(run: Predictions, classes: np.ndarray) -> np.ndarray:
    """Return the part of the confusion matrix of a run for S classes, (S, S)."""
    place = np.full(len(run.classes), -1)
    place[classes] = np.arange(len(classes))
    true, predicted = place[run.labels], place[run.scores.argmax(1)]
    confusion = np.zeros((len(classes),) * 2, int)
    inside = (true >= 0) & (predicted >= 0)
    np.add.at(confusion, (true[inside], predicted[inside]), 1)
    return confusion


def _panels(runs: Runs, curve, xlabel: str, ylabel: str) -> Figure:
    """Draw one panel for each of the largest classes that have images."""
    first = next(iter(runs.values()))
    counts = np.bincount(first.labels, minlength=len(first.classes))
    titles = [
        wrapped(f'{name} ({count})', 30)
        for name, count in zip(plain_names(first.classes, 26), counts, strict=True)
    ]
    present = [k for k in np.argsort(-counts) if 0 < counts[k] < len(first.labels)]
    present = present[:MOST_CLASSES]
    columns = min(2, max(1, len(present)))  # readable on a phone
    lines = -(-max(1, len(present)) // columns)
    more = max((titles[label].count('\n') for label in present), default=0)
    height = lines * (2.7 + 0.16 * more) + 0.22 * len(runs)
    figure = Figure(figsize=(2.6 * columns, height), layout='constrained')
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, label in zip(grid, present, strict=False):
        for number, (name, run) in enumerate(_named(runs)):
            once = np.ones((1, len(run.labels)))
            hits, false_alarms = ranked(run.scores[:, label], run.labels == label, once)
            axes.plot(
                *curve(hits[0], false_alarms[0]),
                **line_of(number),
                linewidth=1.3,
                label=legend_name(name),
            )
        axes.set_title(titles[label], fontsize=10)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        _tidy(axes)
    for axes in grid[len(present) :]:
        axes.set_visible(False)
    figure.supxlabel(xlabel)
    figure.supylabel(ylabel)
    if present:  # outside the panels, so that long names do not make them smaller
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc='outside upper left', frameon=False)
    return figure


def _named(by_name: Mapping[str, Value]) -> Iterable[tuple[str, Value]]:
    """Return pairs of a name, as it is drawn, and a value."""
    return zip(plain_names(by_name), by_name.values(), strict=True)


def _square() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.6, 4.4), layout='constrained')
    axes = figure.subplots()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    _tidy(axes)
    return figure, axes


def _tidy(axes: Axes) -> None:
    axes.spines[['top', 'right']].set_visible(False)
    axes.grid(alpha=0.25)
