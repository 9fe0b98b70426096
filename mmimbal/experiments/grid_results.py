"""What a grid of experiments has found, read from its results."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmimbal.experiments.comparison import Comparison, common_runs, compare
from mmimbal.experiments.rows import (
    Row,
    chosen_on_validation,
    read_rows,
    read_runs,
    strangers,
)
from mmimbal.files.json_file import read_json


@dataclass(frozen=True)
class GridResults:
    """What a grid has found so far.

    Attributes:
        name: Of the grid.
        about: What the grid says of itself.
        devices: How many experiments ran on each.
        strangers: Results in its folder that are none of its.
        tables: By data set all rows, by name.
        comparisons: By data set, where test images were read.
    """

    name: str
    about: Mapping
    devices: Mapping[str, int]
    strangers: Sequence[str]
    tables: Mapping[str, Mapping[str, Row]]
    comparisons: Mapping[str, Comparison]

    @property
    def split(self) -> str:
        """The images that rows are judged on."""
        return self.about['judged_on']

    @property
    def judged(self) -> Mapping[str, Mapping[str, Row]]:
        """By data set the rows that are compared, with the same folds each."""
        compared = {dataset: one.rows for dataset, one in self.comparisons.items()}
        return compared or self.tables

    @property
    def chosen(self) -> list[str]:
        """A row for each method of stage 1, in the order of validation."""
        return chosen_on_validation(list(self.judged.values()))

    @property
    def best(self) -> tuple[str, ...]:
        """The best row with metric learning and the best without; none if one lacks."""
        rows = next(iter(self.tables.values()), {})
        found = {rows[name].metric: name for name in reversed(self.chosen)}
        return (found[True], found[False]) if len(found) == 2 else ()


def read_grid_results(folder: Path, resamples: int) -> GridResults:
    """Read the results of a grid.

    Raises:
        ValueError: If runs to compare were tested on different images.
    """
    about = read_json(folder / 'grid.json')
    results = read_runs(folder)
    tables = read_rows(results, about['metric'])
    comparisons = {
        dataset: compare(rows, folder, dataset, resamples)
        for dataset, rows in tables.items()
        if common_runs(rows)
    }
    return GridResults(
        folder.name,
        about,
        Counter(result['device'] for result in results),
        strangers(folder),
        tables,
        comparisons,
    )
