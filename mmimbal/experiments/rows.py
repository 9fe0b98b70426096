"""Rows of a table of results: a pair of methods, with all its runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

from mmimbal.files.json_file import read_json


@dataclass
class Row:
    """A method of stage 1 and a method of stage 2, with all runs on a data set.

    Attributes:
        method: Method of stage 1, or a method with only one stage.
        stage2: Method of stage 2; '' for the classifier of stage 1.
        has_metric_loss: Whether the method uses metric learning.
        runs: Result of each (fold, seed): ``val``, and, if test images were read,
            ``test``, ``predicted`` and ``images`` (hash of the test images).
    """

    method: str
    stage2: str
    has_metric_loss: bool
    runs: dict[tuple, dict] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the row in tables."""
        return f'{self.method} + {self.stage2}' if self.stage2 else self.method

    @property
    def folds(self) -> set:
        """Folds of its runs."""
        return {fold for fold, _ in self.runs}

    @property
    def seeds(self) -> list[int]:
        """Seeds of its runs, sorted."""
        return sorted({seed for _, seed in self.runs})

    @property
    def predicted(self) -> set[tuple]:
        """Fold and seed of the runs that have predictions for test images."""
        return {key for key, run in self.runs.items() if 'predicted' in run}

    def number_of_runs(self, split: str) -> int:
        """Return the number of runs that have metrics on a split."""
        return len(self.values(split, 'balanced_accuracy'))

    def values(self, split: str, metric: str) -> list[float]:
        """Return the values of a metric, one for each run that has it."""
        scores = (run.get(split) or {} for run in self.runs.values())
        return [each[metric] for each in scores if metric in each]

    def mean(self, split: str, metric: str) -> float:
        """Return the mean of a metric over runs, -1 if no run has it."""
        return mean(self.values(split, metric) or [-1.0])


def read_runs(folder: Path) -> list[dict]:
    """Read the results of all finished experiments of a grid."""
    names = sorted(_experiments(folder))
    files = (folder / 'runs' / f'{name}.json' for name in names)
    return [read_json(file) for file in files if file.is_file()]


def results_not_in_grid(folder: Path) -> list[str]:
    """Return the names of results whose experiments are no longer in the grid."""
    names = {file.stem for file in (folder / 'runs').glob('*.json')}
    return sorted(names - _experiments(folder))


def finished_seeds(results: Sequence[Mapping]) -> tuple[list[Mapping], list[str]]:
    """Leave out seeds that lack folds which another seed of their method has.

    A mean over folds and seeds would count the folds that are there more than others.
    Kept are, of each method and data set, the seeds with the largest set of folds; of
    several such sets, that of the smallest seed.

    Args:
        results: Results of experiments, from :func:`read_runs`.

    Returns:
        The results of these seeds; and each other seed, in words.
    """
    found: dict[tuple, dict[int, set]] = {}
    for each in results:
        seeds = found.setdefault((each['dataset'], each['method']), {})
        seeds.setdefault(each['seed'], set()).add(each['fold'])
    largest = {
        of: max((folds for _, folds in sorted(seeds.items())), key=len)
        for of, seeds in found.items()
    }

    def is_kept(each: Mapping) -> bool:
        of = each['dataset'], each['method']
        return found[of][each['seed']] == largest[of]

    left_out = []
    for (dataset, method), seeds in sorted(found.items()):
        for seed, folds in sorted(seeds.items()):
            if folds != largest[dataset, method]:
                has = ', '.join(sorted(map(str, folds)))
                left_out.append(f'{dataset}, {method}, seed {seed} (has fold {has})')
    return [each for each in results if is_kept(each)], left_out


def read_rows(
    results: Sequence[Mapping], metric_methods: Sequence[str]
) -> dict[str, dict[str, Row]]:
    """Return the rows of each data set, by name.

    Args:
        results: Results of experiments, from :func:`read_runs`.
        metric_methods: Names of the methods with metric learning.
    """
    tables: dict[str, dict[str, Row]] = {}
    for result in results:
        rows = tables.setdefault(result['dataset'], {})
        method = result['method']
        for head in result['rows']:
            row = Row(method, head['stage2'], method in metric_methods)
            run = dict(head, images=result.get('images'), device=result.get('device'))
            row = rows.setdefault(row.name, row)
            row.runs[result['fold'], result['seed']] = run
    return dict(sorted(tables.items()))


def expected_runs(method: str, rows: Mapping[str, Row]) -> int:
    """Return the number of runs that a row of a method has if no run is missing.

    It is the number of folds of all rows, times the number of seeds of this method.
    """
    folds = max(len(row.folds) for row in rows.values())
    seeds = {
        seed for row in rows.values() if row.method == method for seed in row.seeds
    }
    return folds * len(seeds)


def chosen_on_validation(tables: Sequence[Mapping[str, Row]]) -> list[str]:
    """Choose one stage 2 for each method of stage 1, the same for all data sets.

    The choice is by validation balanced accuracy: means over runs, then over data sets.
    Rows with missing runs come last, so that they are chosen only if nothing else is
    there.

    Args:
        tables: Rows of each data set, by name.

    Returns:
        One row name for each method that is in all tables, the best first.
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
            rows[name].number_of_runs('val') < expected_runs(rows[name].method, rows)
            for rows in tables
        )

    chosen: dict[str, str] = {}
    for name in sorted(
        scores, key=lambda name: (lacks_runs(name), -scores[name], name)
    ):
        chosen.setdefault(first[name].method, name)
    return list(chosen.values())


def _experiments(folder: Path) -> set[str]:
    """Return the names of the experiments of a grid."""
    return set(read_json(folder / 'grid.json')['experiments'])
