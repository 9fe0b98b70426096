"""What a comparison says about metric learning on a data set, in words."""

from collections.abc import Sequence

import numpy as np

from mmimbal.evaluation.bootstrap import LEVEL
from mmimbal.experiments.comparison import JUDGED_BY, Comparison
from mmimbal.experiments.fold_test import p_text, p_value
from mmimbal.experiments.own_data import OwnData
from mmimbal.experiments.page_tables import TITLES
from mmimbal.experiments.plug_in import PlugInEffect
from mmimbal.visualization.tables import estimate, estimate_difference

WORDS = {metric: TITLES[metric] for metric in JUDGED_BY}


def verdict(
    comparison: Comparison, chosen: Sequence[str], effects: Sequence[PlugInEffect]
) -> str:
    """Return one paragraph: what is best, by how much, and how sure that is.

    Args:
        comparison: Comparison of the data set.
        chosen: One row for each stage 1, the best on validation first.
        effects: Plug-in effects.
    """
    rows = comparison.rows
    best = chosen[0]
    values = (f'{WORDS[each]} {_value(comparison, best, each)}' for each in WORDS)
    sentences = [
        f'Validation chooses {best} among {len(rows)} rows: {" and ".join(values)} on '
        'test images.'
    ]
    others = [
        name
        for name in chosen
        if rows[name].has_metric_loss != rows[best].has_metric_loss
    ]
    if others:
        kind = 'without' if rows[best].has_metric_loss else 'with'
        pair = best, others[0]
        caution = comparison.caution(*pair)
        gains = (
            _difference(
                metric,
                comparison.difference(*pair, metric),
                caution,
                p_value(comparison, [pair], metric),
            )
            for metric in WORDS
        )
        sentences.append(
            f'The best row {kind} metric learning is {others[0]}: the first row minus '
            f'this one is {" and ".join(gains)}.'
        )
    for effect in effects:
        caution = comparison.caution(*effect.rows)
        means = [
            _difference(metric, effect.mean(metric), caution, effect.p_values[metric])
            + f', above 0 in {effect.above_zero(metric)} of them'
            for metric in WORDS
        ]
        ways = len(effect.differences)
        sentences.append(
            f'Over all {ways} ways of stage 2, {effect.recipe} minus {effect.control} '
            f'is {"; and ".join(means)}.'
        )
    return ' '.join(sentences)


def limits(data: OwnData, comparison: Comparison, quick: bool) -> list[str]:
    """Return what the comparison cannot tell."""
    sentences = []
    if quick:
        sentences.append(
            'This was a quick look: one fold, few epochs, and no search for '
            'hyper-parameters of stage 2. Run the command without --quick before you '
            'decide.'
        )
    if data.groups is None:
        sentences.append(
            'No groups (patients, lesions) are known, so each image counts as '
            'independent. If some show the same patient, the intervals are too narrow '
            'and all scores are too high. Add a column group to the index.'
        )
    else:
        sentences.append(
            f'Intervals are over {comparison.groups} groups: they hold for new groups '
            'of the same kind, not for another hospital or camera.'
        )
    if comparison.caution():
        sentences.append(comparison.caution())
    if data.is_official:
        sentences.append(
            'The split that came with the images was kept, so each method was trained '
            'once.'
        )
    if comparison.has_several_tests:
        sentences.append(
            'Validation images of one fold are test images of another. The choice of '
            'the first row has used their labels, so its value may be too high.'
        )
    seeds = {seed for row in comparison.rows.values() for seed in row.seeds}
    if len(seeds) == 1:
        sentences.append(
            'Each method was trained with one seed: how much results vary with the '
            'seed is not in the intervals.'
        )
    return sentences


def _value(comparison: Comparison, name: str, metric: str) -> str:
    values = comparison.metrics[name][metric]
    cell = estimate(metric, values[0], np.clip(values[1:], 0, 100))
    return f'{cell.text} {cell.interval}'


def _difference(metric: str, values: np.ndarray, caution: str, p: float | None) -> str:
    """Return a difference in words.

    It may be chance if its interval contains 0 or is not reliable, or the test over
    folds says so.
    """
    cell = estimate_difference(metric, values[0], values[1:], bold=not caution)
    sure = cell.bold and (p is None or p < 1 - LEVEL)
    details = [] if p is None else [f'p {p_text(p)} over folds']
    details += [] if sure else ['may be chance']
    details += ['the interval is too narrow'] if caution else []
    more = f' ({", ".join(details)})' if details else ''
    return f'{cell.text} {cell.interval} points of {WORDS[metric]}{more}'
