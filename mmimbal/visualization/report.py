"""A report that compares runs: one HTML file, without network access or scripts."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mmimbal.evaluation.bootstrap import RESAMPLES, caution
from mmimbal.evaluation.metrics import LOWER_IS_BETTER, NAMES
from mmimbal.evaluation.origin import doubts
from mmimbal.evaluation.predictions import Predictions, check_same_images
from mmimbal.evaluation.recalibration import calibrated
from mmimbal.inference.decisions import Decisions
from mmimbal.inference.worst_errors import ErrorImage
from mmimbal.visualization import figures, projection
from mmimbal.visualization.error_cards import cards_of
from mmimbal.visualization.measured import RunMetrics, measure_run
from mmimbal.visualization.measured_decisions import measure_decisions
from mmimbal.visualization.recall_by_count import draw_recall_by_count
from mmimbal.visualization.retrieval_by_class import retrieval_by_class
from mmimbal.visualization.risk_and_coverage import risk_and_coverage
from mmimbal.visualization.svg import Picture, picture
from mmimbal.visualization.tables import Cell, Table
from mmimbal.visualization.templating import render
from mmimbal.visualization.training_curves import training_curves


def build_report(
    runs: Mapping[str, Predictions],
    resamples: int = RESAMPLES,
    decisions: Decisions | None = None,
    errors: Sequence[ErrorImage] | None = None,
) -> str:
    """Return the HTML page for one or several runs.

    Args:
        runs: Predictions by name; the others are compared with the first.
        resamples: Number of resamples of groups (bootstrap).
        decisions: What was fitted on calibration images, measured on the first run.
        errors: The worst errors of the first run. Only they put images on the page.

    Raises:
        ValueError: If the runs have different images, a class has no images, or the
            decisions are for other classes.
    """
    check_same_images(runs)
    baseline, *others = runs
    first = runs[baseline]
    split = first.about.get('split') or 'test'
    counts = np.bincount(first.labels, minlength=len(first.classes))
    absent = [name for name, n in zip(first.classes, counts, strict=True) if not n]
    if absent:
        raise ValueError(
            f'no {split} image of class {", ".join(absent)}: metrics need {split} '
            'images of all classes'
        )
    note = figures.note_of_classes(first)
    predicted = [run.scores.argmax(1) for run in runs.values()]
    warning = caution(first.groups, first.labels, first.classes, predicted)
    metrics = {name: measure_run(run, resamples) for name, run in runs.items()}

    def difference(run: str, metric: str) -> Cell:
        return metrics[run].minus(metrics[baseline], metric, bold=not warning)

    return render(
        'mmimbal.visualization',
        'report.html',
        title=' · '.join(runs),
        images=len(first.labels),
        groups=None
        if np.array_equal(first.groups, first.files)
        else len(np.unique(first.groups)),
        classes=len(first.classes),
        resamples=resamples,
        cautions=[
            *([warning] if warning else []),
            *(
                f'{name}: {doubt}'
                for name, run in runs.items()
                for doubt in doubts(run.about)
            ),
        ],
        bold=not warning,
        split=split,
        baseline=baseline,
        metrics=_table(list(runs), lambda run, metric: metrics[run].estimate(metric)),
        differences=_table(others, difference) if others else None,
        recall=_recall(runs, metrics, counts, split),
        confusions=[
            picture(f'{name}, % of class{note}', figures.draw_confusion, run)
            for name, run in runs.items()
        ],
        reliability=picture('Reliability', figures.draw_reliability, runs),
        ranking=[
            picture(f'ROC{note}', figures.draw_roc, runs),
            picture(f'Precision and recall{note}', figures.draw_precision_recall, runs),
        ],
        abstention=risk_and_coverage(
            {**runs, **_calibrated(runs, decisions)}, resamples
        ),
        decisions=decisions and measure_decisions(decisions, first, resamples, split),
        errors=None if errors is None else cards_of(errors),
        projection=projection.method(),
        drawn=_drawn(len(first.labels)),
        embeddings=_embeddings(runs),
        retrieval=retrieval_by_class(runs),
        training=training_curves(runs),
        sources=[_source(name, run.about) for name, run in runs.items()],
    )


def _calibrated(
    runs: Mapping[str, Predictions], decisions: Decisions | None
) -> dict[str, Predictions]:
    """Return the first run, calibrated for the shares of classes of the test images.

    Nothing without a calibration.
    """
    if decisions is None or decisions.calibration is None:
        return {}
    name, run = next(iter(runs.items()))
    return {f'{name}, calibrated': calibrated(run, decisions.calibration)}


def _table(runs: Sequence[str], cell: Callable[[str, str], Cell]) -> Table:
    """Return a table with a row for each metric and a column for each run."""
    rows = [[_title(metric), *(cell(run, metric) for run in runs)] for metric in NAMES]
    return Table(['metric', *runs], rows)


def _title(metric: str) -> str:
    return f'{metric} (lower is better)' if metric in LOWER_IS_BETTER else metric


def _recall(
    runs: Mapping[str, Predictions],
    metrics: Mapping[str, RunMetrics],
    measured_counts: np.ndarray,
    split: str,
) -> Picture:
    """Draw recall against training images; if unknown, against those of the split."""
    classes = next(iter(runs.values())).classes
    recalls = {
        name: np.array([[of_run.measured[f'recall/{c}'] for c in classes]])
        for name, of_run in metrics.items()
    }
    known = {
        n: run.class_counts for n, run in runs.items() if run.class_counts is not None
    }
    if not known:
        caption = f'Recall against {split} images; training counts are not known'
        counts, images = measured_counts, split
    else:
        whose, counts = next(iter(known.items()))
        same = all(np.array_equal(counts, other) for other in known.values())
        of_all = same and len(known) == len(runs)
        caption = 'Recall against training images' + ('' if of_all else f' of {whose}')
        images = 'training'
    return picture(caption, draw_recall_by_count, recalls, counts, classes, images)


def _drawn(images: int) -> str:
    """Return how many images of embeddings are drawn, if not all."""
    drawn = len(projection.subset(images))
    return '' if drawn == images else f'{drawn} of {images} '


def _embeddings(runs: Mapping[str, Predictions]) -> list[Picture]:
    """Draw the embeddings of all runs that have them."""
    pictures = []
    for name, run in runs.items():
        if run.embeddings is not None:
            drawn = projection.subset(len(run.labels))
            part = Predictions(
                run.scores[drawn],
                run.labels[drawn],
                run.files[drawn],
                run.groups[drawn],
                run.classes,
            )
            places = projection.project(run.embeddings[drawn])
            pictures.append(picture(name, figures.draw_embedding, places, part))
    return pictures


def _source(name: str, about: Mapping) -> dict:
    """Return the origin of a run, and its config separately."""
    short = {k: v for k, v in about.items() if k not in ('curves', 'config')}
    return dict(name=name, about=short, config=about.get('config', ''))
