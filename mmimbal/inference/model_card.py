"""A model card: what is known of a published model, in Markdown."""

from collections.abc import Mapping, Sequence

from mmimbal.evaluation.bootstrap import caution, metrics_with_intervals
from mmimbal.evaluation.metrics import absent_classes
from mmimbal.evaluation.origin import doubts
from mmimbal.evaluation.predictions import Predictions
from mmimbal.evaluation.recalibration import calibrated
from mmimbal.inference.decisions import Decisions, describe
from mmimbal.inference.image_size import size_of_images
from mmimbal.inference.members import number_of_members


def model_card(
    name: str,
    classes: Sequence[str],
    cfg: Mapping,
    metas: Sequence[Mapping],
    pipeline: Sequence[Mapping],
    decisions: Decisions | None = None,
    predictions: Predictions | None = None,
) -> str:
    """Return a model card with what is known; what is not known says so.

    Args:
        name: Name of the model.
        classes: Class names, K.
        cfg: Its config, for inference.
        metas: ``meta`` of the checkpoint of each member.
        pipeline: Pipeline of its images.
        decisions: What was fitted on calibration images, if anything was.
        predictions: Predictions for test images, before calibration.
    """
    calibration = decisions.calibration if decisions else None
    if predictions is not None and calibration:
        predictions = calibrated(predictions, calibration)
    counts = [meta['class_counts'] for meta in metas if meta.get('class_counts')]
    parts = [
        f'# {name}',
        _about(cfg, metas),
        '## Images',
        _images(cfg, pipeline),
        '## Classes and training images',
        _counts(classes, counts if len(counts) == len(metas) else []),
        _groups(metas),
        '## Calibration and decisions',
        _decisions(decisions),
        '## Results',
        _results(predictions, decisions),
        '## Limits',
        _limits(predictions),
    ]
    return '\n\n'.join(parts) + '\n'


def _about(cfg: Mapping, metas: Sequence[Mapping]) -> str:
    members = number_of_members(cfg['model'])
    kind = f'The mean of {members} classifiers' if members > 1 else 'A classifier'
    versions = sorted({meta.get('mmimbal_version', '?') for meta in metas})
    return f'{kind}, published with mmimbal {", ".join(versions)}.'


def _images(cfg: Mapping, pipeline: Sequence[Mapping]) -> str:
    preprocessor = cfg['model'].get('data_preprocessor') or {}
    try:
        height, width = size_of_images(pipeline)
        size = f'{height} x {width} pixels'
    except ValueError:
        size = 'pixels of any number'
    order = 'RGB' if preprocessor.get('to_rgb') else 'BGR'
    return (
        f'The net takes {size}, {order}, minus {preprocessor.get("mean", 0)}, divided '
        f'by {preprocessor.get("std", 1)}. An ONNX file does this itself, and takes '
        'RGB. Before, an image is read with 8 bits a channel, and goes through this '
        'pipeline:\n\n' + '\n'.join(f'- `{step}`' for step in map(_plain, pipeline))
    )


def _plain(step: Mapping) -> str:
    arguments = (f'{key}={value!r}' for key, value in step.items() if key != 'type')
    return f'{step["type"]}({", ".join(arguments)})'


def _row(name: str, value: str) -> str:
    """Return a row of a Markdown table."""
    name = name.replace('|', r'\|')
    return f'| {name} | {value} |'


def _counts(classes: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    cells = ['not known'] * len(classes)
    if counts:
        ranges = [
            (min(of_class), max(of_class)) for of_class in zip(*counts, strict=True)
        ]
        cells = [f'{a}' if a == b else f'{a} to {b}' for a, b in ranges]
    rows = [_row(name, cell) for name, cell in zip(classes, cells, strict=True)]
    return '\n'.join(['| class | training images |', '|---|---:|', *rows])


def _groups(metas: Sequence[Mapping]) -> str:
    """Return a sentence about the groups that the model was trained on."""
    hashes = [meta.get('training_groups') for meta in metas]
    if any(each is None for each in hashes):
        return 'The training groups (lesions, patients, ...) are not known.'
    united = len(set().union(*(each.tolist() for each in hashes)))
    of_members = ' of all members together' if len(metas) > 1 else ''
    return (
        f'Training groups (lesions, patients, ...){of_members}: {united}. The file has '
        'a hash of each, so that images of these groups are not taken for new ones.'
    )


def _decisions(decisions: Decisions | None) -> str:
    if decisions is None:
        return 'Not calibrated. `tools/calibrate.py` does it, on images not trained on.'
    lines = describe(decisions)
    fitted = (
        decisions.calibration,
        decisions.thresholds,
        decisions.abstention,
        decisions.sets,
    )
    if decisions.groups and any(fitted):
        lines.append(f'Fitted on {len(decisions.groups)} groups')
    return '\n'.join(f'- {line}' for line in lines)


def _results(predictions: Predictions | None, decisions: Decisions | None) -> str:
    """Return a table of metrics; with a calibration, predictions are calibrated."""
    calibration = decisions.calibration if decisions else None
    if predictions is None:
        return 'Not measured here. Give predictions with `--predictions`.'
    remark = ''
    if calibration:
        remark = ' Probabilities are calibrated.'
        if calibration.prevalence is not None:
            remark = (
                ' Probabilities are calibrated, but without the shares of classes that '
                'decisions use: these images have others.'
            )
    if absent := absent_classes(predictions.labels, predictions.classes):
        remark += f' {absent}'
    if decisions and decisions.costs:
        remark += ' They are of the most probable class, not of that of least cost.'
    measured = metrics_with_intervals(predictions)
    rows = [
        _row(metric, f'{value:.1f} [{low:.1f}, {high:.1f}]')
        for metric, (value, low, high) in measured.items()
    ]
    groups = len(set(predictions.groups.tolist()))
    about = (
        f'{len(predictions.labels)} {predictions.about.get("split") or "test"} images '
        f'in {groups} groups, in %; 95% intervals from resampled groups, exact ones '
        f'of shares that are 0 or 100.{remark} ' + ' '.join(doubts(predictions.about))
    ).rstrip()
    return '\n'.join([about, '', '| metric | value |', '|---|---:|', *rows])


def _limits(predictions: Predictions | None) -> str:
    lines = [
        '- Results hold for images like the test images. Other cameras, hospitals or '
        'patients were not tried.',
        '- Images of none of these classes get one of them nevertheless.',
    ]
    if predictions is not None:
        warning = caution(
            predictions.groups,
            predictions.labels,
            predictions.classes,
            [predictions.scores.argmax(1)],
        )
        if warning:
            lines.append(f'- {warning}')
    return '\n'.join(lines)
