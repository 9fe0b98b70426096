"""The page that compares methods on one data set."""

from pathlib import Path

from mmimbal.experiments.comparison import JUDGED_BY, Comparison
from mmimbal.experiments.grid_results import GridResults
from mmimbal.experiments.own_data import OwnData
from mmimbal.experiments.page import effects_by_way
from mmimbal.experiments.page_tables import TITLES, differences_from, means, plug_in
from mmimbal.experiments.verdict import limits, verdict
from mmimbal.files.atomic import write_text
from mmimbal.visualization.plug_in import draw_plug_in_effects
from mmimbal.visualization.svg import picture
from mmimbal.visualization.tables import Table
from mmimbal.visualization.templating import render

METHODS = dict(
    ce='cross-entropy alone',
    control='the recommended recipe with metric weight 0',
    recommended='the recommended recipe with metric learning',
    imagenet='no training: the features of the weights that all others start from',
)
PARAMETERS = {
    True: 'are those of its configs',
    False: 'were chosen on validation images',
}


def write_compare_page(
    results: GridResults, data: OwnData, commands: list[str], quick: bool, page: Path
) -> tuple[str, list[str]]:
    """Write the page; return its verdict, and what it cannot tell.

    Args:
        results: Results of the grid of one data set.
        data: The data set.
        commands: Commands that train the winner.
        quick: Whether this was a quick look.
        page: The HTML file to write.
    """
    comparison = results.comparisons[data.word]
    effects = results.plug_in_effects.get(data.word, [])
    words = verdict(comparison, results.chosen, effects)
    cannot_tell = limits(data, comparison, quick)
    trained = {row.method for row in comparison.rows.values()}
    plain = [n for n in results.chosen if not comparison.rows[n].has_metric_loss]
    text = render(
        'mmimbal.visualization',
        'comparison.html',
        title=f'Does metric learning help on {data.word}?',
        verdict=words,
        limits=cannot_tell,
        commands=commands,
        counts=_counts(data),
        which_images=which_images(data, comparison),
        methods={name: METHODS[name] for name in sorted(trained)},
        parameters=PARAMETERS[quick],
        unit='groups' if data.groups else 'images',
        plug_in=plug_in({data.word: effects}, results.comparisons),
        effects=[
            picture(
                f'Plug-in effect for each way of stage 2, {TITLES[metric]}',
                draw_plug_in_effects,
                effects_by_way(results.plug_in_effects, metric),
                TITLES[metric],
            )
            for metric in JUDGED_BY
        ],
        plain=plain[0],
        chosen=differences_from(comparison, plain[0], results.chosen),
        rows=means(results.tables[data.word], 'test'),
    )
    write_text(text, page)
    return words, cannot_tell


def which_images(data: OwnData, comparison: Comparison) -> str:
    """Say which images of several folds are counted, and which ones are tested."""
    if len(data.folds) == 1:
        return ''
    first = f'These are the images of the first of {len(data.folds)} folds'
    if len(comparison.folds) == 1:
        return f'{first}, the only one that was used.'
    if comparison.has_several_tests:
        tested = 'Each image is a test image of one fold'
    else:
        tested = 'All folds test on the same images'
    return (
        f'{first}. {tested}, and intervals and differences below are of all folds '
        'together.'
    )


def _counts(data: OwnData) -> Table:
    rows = [
        [split, *map(str, counts.tolist()), str(counts.sum())]
        for split, counts in data.counts.items()
    ]
    return Table(['images', *data.classes, 'total'], rows)
