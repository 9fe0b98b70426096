"""Rows of a table of results: a method of each stage, with all its runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

from mmimbal.files.json_file import read_json


@dataclass
class Row:
    """A method of stage 1 and one of stage 2, with all its runs on a data set.

    Attributes:
        method: Of stage 1, or a one-stage one.
        stage2: '' for the classifier that was trained with the backbone.
        metric: Whether it learns a metric.
        runs: By fold and seed what was found: ``val`` and, where test was read,
            ``test``, ``predicted`` and ``images``, the hash of the test images.
    """

    method: str
    stage2: str
    metric: bool
    runs: dict[tuple, dict] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return f'{self.method} + {self.stage2}' if self.stage2 else self.method

    @property
    def folds(self) -> set:
        """Folds of its runs."""
        return {fold for fold, _ in self.runs}

    @property
    def predicted(self) -> set[tuple]:
        """Fold and seed of the runs that have predictions of test images."""
        return {key for key, run in self.runs.items() if 'predicted' in run}

    def number(self, split: str) -> int:
        """Return how many runs have metrics of a split."""
        return len(self.values(split, 'balanced_accuracy'))

    def values(self, split: str, metric: str) -> list[float]:
        """Return a metric of each run that has it."""
        found = (run.get(split) or {} for run in self.runs.values())
        return [scores[metric] for scores in found if metric in scores]

    def mean(self, split: str, metric: str) -> float:
        """Return the mean of a metric over runs, -1 if none has it."""
        return mean(self.values(split, metric) or [-1.0])


def read_runs(folder: Path) -> list[dict]:
    """Return the results of those experiments of a grid that are done."""
    files = (folder / 'runs' / f'{name}.json' for name in sorted(_names(folder)))
    return [read_json(file) for file in files if file.is_file()]


def strangers(folder: Path) -> list[str]:
    """Return what has a result in the folder of a grid, but is not in it any more."""
    found = {file.stem for file in (folder / 'runs').glob('*.json')}
    return sorted(found - _names(folder))


def read_rows(
    results: Sequence[Mapping], metric: Sequence[str]
) -> dict[str, dict[str, Row]]:
    """Return the rows of each data set, by name.

    Args:
        results: Of experiments.
        metric: The methods with metric learning.
    """
    tables: dict[str, dict[str, Row]] = {}
    for result in results:
        rows = tables.setdefault(result['dataset'], {})
        for found in result['rows']:
            row = Row(result['method'], found['stage2'], result['method'] in metric)
            run = dict(found, images=result.get('images'))
            row = rows.setdefault(row.name, row)
            row.runs[result['fold'], result['seed']] = run
    return dict(sorted(tables.items()))


def wanted_runs(method: str, rows: Mapping[str, Row]) -> int:
    """Return how many runs a row of a method has when nothing lacks.

    A method may have seeds of its own: the folds of all rows times those.
    """
    folds = max(len(row.folds) for row in rows.values())
    of_method = (row.runs for row in rows.values() if row.method == method)
    return folds * len({seed for runs in of_method for _, seed in runs})


def chosen_on_validation(tables: Sequence[Mapping[str, Row]]) -> list[str]:
    """Choose for each method of stage 1 its stage 2, one for all data sets.

    By validation balanced accuracy, the mean over data sets of means over runs. While
    a grid is not done, rows that lack runs are not in front of those that have all.

    Args:
        tables: The rows of each data set.

    Returns:
        The name of a row for each method that is in all tables, the best first.
    """
    if not tables:
        return []
    first, *others = tables
    scores = {
        name: mean(rows[name].mean('val', 'balanced_accuracy') for rows in tables)
        for name in first
        if all(name in rows for rows in others)
    }

    def lacks_runs(name: str) -> bool:
        return any(
            rows[name].number('val') < wanted_runs(rows[name].method, rows)
            for rows in tables
        )

    chosen: dict[str, str] = {}
    for name in sorted(
        scores, key=lambda name: (lacks_runs(name), -scores[name], name)
    ):
        chosen.setdefault(first[name].method, name)
    return list(chosen.values())


def _names(folder: Path) -> set[str]:
    """Return the experiments of a grid."""
    return set(read_json(folder / 'grid.json')['experiments'])
