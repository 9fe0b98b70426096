"""A model card: what is known of a published model, in Markdown."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mmimbal.evaluation.bootstrap import caution, interval_of, resampled_metrics
from mmimbal.evaluation.metrics import NAMES, summarise
from mmimbal.evaluation.predictions import Predictions


def model_card(
    name: str,
    classes: Sequence[str],
    metas: Mapping[Path, Mapping],
    size: tuple[int, int] | None = None,
    predictions: Predictions | None = None,
) -> str:
    """Return a model card with what is known; what is not known says so.

    Args:
        name: Name of the model.
        classes: Class names, K.
        metas: ``meta`` of the checkpoint of each member.
        size: Height and width of the images, if they are all of one size.
        predictions: Predictions for test images.
    """
    counts = {tuple(meta.get('class_counts') or ()) for meta in metas.values()}
    parts = [
        f'# {name}',
        _about(metas, size),
        '## Classes and training images',
        _counts(classes, counts.pop() if len(counts) == 1 else ()),
        '## Results on test images',
        _results(predictions),
        '## Limits',
        _limits(predictions),
    ]
    return '\n\n'.join(parts) + '\n'


def _about(metas: Mapping[Path, Mapping], size: tuple[int, int] | None) -> str:
    members = len(metas)
    kind = f'The mean of {members} classifiers' if members > 1 else 'A classifier'
    images = f' of images of {size[0]} x {size[1]} pixels' if size else ''
    versions = sorted({meta.get('mmimbal_version', '?') for meta in metas.values()})
    return f'{kind}{images}, trained with mmimbal {", ".join(versions)}.'


def _counts(classes: Sequence[str], counts: Sequence[int]) -> str:
    cells = counts or ['not known, or not the same for all members'] * len(classes)
    rows = [f'| {name} | {count} |' for name, count in zip(classes, cells, strict=True)]
    return '\n'.join(['| class | training images |', '|---|---:|', *rows])


def _results(predictions: Predictions | None) -> str:
    if predictions is None:
        return 'Not measured here. Give predictions with `--predictions`.'
    measured = summarise(predictions.scores, predictions.labels, predictions.classes)
    resampled = resampled_metrics(predictions)
    recalls = [f'recall/{name}' for name in predictions.classes]
    rows = []
    for metric in (*NAMES, *recalls):
        if metric in measured and metric in resampled:
            low, high = interval_of(metric, measured[metric], 100 * resampled[metric])
            value = f'{measured[metric]:.1f} [{low:.1f}, {high:.1f}]'
            rows.append(f'| {metric} | {value} |')
    groups = len(set(predictions.groups.tolist()))
    about = (
        f'{len(predictions.labels)} images in {groups} groups, in %; 95% intervals '
        'from resampled groups.'
    )
    return '\n'.join([about, '', '| metric | value |', '|---|---:|', *rows])


def _limits(predictions: Predictions | None) -> str:
    lines = [
        '- Results hold for images like the test images. Other cameras, hospitals or '
        'patients were not tried.',
        '- Images of none of these classes get one of them nevertheless.',
    ]
    if predictions is not None:
        warning = caution(predictions.groups, predictions.labels, predictions.classes)
        if warning:
            lines.append(f'- {warning}')
    return '\n'.join(lines)
