"""Ranks of the rows of several data sets."""

from collections.abc import Mapping
from statistics import mean

import numpy as np

from mmimbal.experiments.comparison import JUDGED_BY
from mmimbal.experiments.page_tables import TITLES, marked
from mmimbal.experiments.plug_in import ROUNDING
from mmimbal.experiments.rows import Row, expected_runs
from mmimbal.visualization.tables import Table


def ranks(tables: Mapping[str, Mapping[str, Row]], split: str) -> dict | None:
    """Return a table of means over all data sets and folds, sorted by mean rank.

    Ranks are those of means over seeds. Rows that lack a run, or have one that has
    diverged, are not ranked. With fewer than two rows, the result is ``None``.
    """
    scores: dict[str, dict[tuple, dict[str, float]]] = {}
    titles = {}
    for dataset, rows in tables.items():
        for row in rows.values():
            if row.number_of_runs(split) < expected_runs(row.method, rows):
                continue
            titles[row.name] = marked(row)
            for fold in row.folds:
                seed_scores = _scores_of_seeds(row, fold, split)
                if seed_scores:
                    scores.setdefault(row.name, {})[dataset, fold] = {
                        metric: mean(each[metric] for each in seed_scores)
                        for metric in JUDGED_BY
                    }
    folds = {fold for by_fold in scores.values() for fold in by_fold}
    ranked = {
        name: by_fold for name, by_fold in scores.items() if len(by_fold) == len(folds)
    }
    if len(ranked) < 2:
        return None
    places: dict[str, list[float]] = {name: [] for name in ranked}
    for fold in folds:
        values = np.array([each[fold]['balanced_accuracy'] for each in ranked.values()])
        for name, value in zip(ranked, values, strict=True):
            equal = np.isclose(values, value, rtol=0, atol=ROUNDING)
            above, equal = (values[~equal] > value).sum(), equal.sum()
            places[name].append(above + (equal + 1) / 2)
    mean_ranks = {name: mean(fold_ranks) for name, fold_ranks in places.items()}
    table = [
        [
            titles[name],
            f'{mean_ranks[name]:.1f}',
            *(
                f'{mean(each[metric] for each in ranked[name].values()):.1f}'
                for metric in JUDGED_BY
            ),
        ]
        for name in sorted(mean_ranks, key=mean_ranks.get)
    ]
    header = ['method', 'mean rank', *(TITLES[metric] for metric in JUDGED_BY)]
    return dict(folds=len(folds), table=Table(header, table))


def _scores_of_seeds(row: Row, fold: int | None, split: str) -> list[dict[str, float]]:
    """Return the metrics of all seeds on a fold, without those that diverged."""
    scores = [run.get(split) or {} for (of, _), run in row.runs.items() if of == fold]
    return [each for each in scores if 'balanced_accuracy' in each]
