"""How well the nearest images have the same class, class by class."""

from collections.abc import Mapping

import numpy as np

from mmimbal.evaluation.predictions import Predictions
from mmimbal.evaluation.retrieval import retrieve
from mmimbal.visualization.tables import Table


def retrieval_by_class(runs: Mapping[str, Predictions]) -> Table | None:
    """Return recall@1 and mAP@R of each class, of all runs that have embeddings."""
    columns = {}
    for name, run in runs.items():
        if run.embeddings is not None:
            found = retrieve(run.embeddings, run.labels, run.groups, len(run.classes))
            columns[f'{name}: recall@1'] = _percent(found.recall_at_1)
            columns[f'{name}: mAP@R'] = _percent(found.map_at_r)
    if not columns:
        return None
    titles = (*next(iter(runs.values())).classes, 'mean of classes')
    rows = [list(row) for row in zip(titles, *columns.values(), strict=True)]
    return Table(['class', *columns], rows)


def _percent(values: np.ndarray) -> list[str]:
    """Return the cells of values by class, and of their mean; ``-`` for NaN."""
    known = values[~np.isnan(values)]
    mean = known.mean() if len(known) else np.nan
    return ['-' if np.isnan(each) else f'{100 * each:.1f}' for each in (*values, mean)]
