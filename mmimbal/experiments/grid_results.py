"""The results of a grid of experiments, read from disk."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmimbal.experiments.common_runs import common_runs
from mmimbal.experiments.comparison import Comparison, compare
from mmimbal.experiments.plug_in import PlugInEffect, plug_in_effect
from mmimbal.experiments.rows import (
    Row,
    chosen_on_validation,
    finished_seeds,
    read_rows,
    read_runs,
    results_not_in_grid,
)
from mmimbal.files.json_file import read_json


@dataclass(frozen=True)
class GridResults:
    """The results of a grid so far.

    Attributes:
        name: Name of the grid.
        about: Content of ``grid.json``: title, notes, experiments, ...
        devices: Number of experiments on each device.
        not_in_grid: Names of results whose experiments are no longer in the grid.
        unfinished: Seeds that are left out because folds are missing, in words.
        remarks: What to know of single rows and experiments.
        tables: For each data set, all rows by name.
        comparisons: Comparison of each data set whose test images were read; none if
            the grid is judged on validation.
    """

    name: str
    about: Mapping
    devices: Mapping[str, int]
    not_in_grid: Sequence[str]
    unfinished: Sequence[str]
    remarks: Sequence[str]
    tables: Mapping[str, Mapping[str, Row]]
    comparisons: Mapping[str, Comparison]

    @property
    def split(self) -> str:
        """Split that metrics are measured on: ``'val'`` or ``'test'``."""
        return self.about['judged_on']

    @property
    def judged(self) -> Mapping[str, Mapping[str, Row]]:
        """For each data set, the rows to compare: with the same folds, if possible."""
        compared = {dataset: each.rows for dataset, each in self.comparisons.items()}
        return compared or self.tables

    @property
    def chosen(self) -> list[str]:
        """One row for each method of stage 1, the best on validation first."""
        return chosen_on_validation(list(self.judged.values()))

    @property
    def plug_in_effects(self) -> Mapping[str, Sequence[PlugInEffect]]:
        """For each data set, the plug-in effects that the grid asks for."""
        pairs = self.about.get('plug_in', [])
        effects = {
            dataset: [plug_in_effect(comparison, *pair) for pair in pairs]
            for dataset, comparison in self.comparisons.items()
        }
        return {
            dataset: [effect for effect in found if effect]
            for dataset, found in effects.items()
            if any(found)
        }

    @property
    def best(self) -> tuple[str, ...]:
        """The best row on validation with metric learning, and the best without.

        Empty if there are not both.
        """
        rows = next(iter(self.judged.values()), {})
        best = {rows[name].has_metric_loss: name for name in reversed(self.chosen)}
        return (best[True], best[False]) if len(best) == 2 else ()


def read_grid_results(folder: Path, resamples: int) -> GridResults:
    """Read the results of a grid.

    Raises:
        ValueError: If runs that are compared were tested on different images.
    """
    about = read_json(folder / 'grid.json')
    results = read_runs(folder)
    finished, unfinished = finished_seeds(results)
    tables = read_rows(finished, about['metric'])
    comparisons = {
        dataset: compare(rows, folder, dataset, resamples)
        for dataset, rows in tables.items()
        if about['judged_on'] == 'test' and common_runs(rows)
    }
    remarks = {each for result in results for each in result.get('remarks', [])}
    for dataset, comparison in comparisons.items():
        if others := comparison.methods_with_other_seeds:
            remarks.add(
                f'{dataset}: not run with all seeds: {", ".join(others)}. '
                'Each difference is of the seeds that both rows have, if there are any.'
            )
    return GridResults(
        folder.name,
        about,
        Counter(result['device'] for result in results),
        results_not_in_grid(folder),
        unfinished,
        sorted(remarks),
        tables,
        comparisons,
    )
