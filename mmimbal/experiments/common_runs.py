"""The runs that all rows of a comparison have in common."""

from collections.abc import Mapping
from dataclasses import replace

from mmimbal.experiments.rows import Row


def common_runs(rows: Mapping[str, Row]) -> dict[str, Row]:
    """Select rows and runs so that all rows have the same folds.

    One set of folds is chosen. Within a row, only seeds with runs on all of these folds
    are used. A row is not used if it has no such seed, or if one of these runs has
    diverged. Candidates are the sets of folds of single seeds, and intersections of two
    of them. The candidate with the most runs is chosen; if several have equally many,
    the one with the most rows.
    """

    def folds_by_seed(row: Row) -> dict[int, set]:
        by_seed: dict[int, set] = {}
        for fold, seed in row.runs:
            by_seed.setdefault(seed, set()).add(fold)
        return by_seed

    available = {name: folds_by_seed(row) for name, row in rows.items()}

    def runs_on(folds: set, name: str) -> dict[tuple, dict]:
        """Return the runs of a row to compare; none if one has diverged."""
        seeds = [seed for seed, of_seed in available[name].items() if of_seed >= folds]
        keys = {(fold, seed) for seed in seeds for fold in folds}
        row = rows[name]
        if not keys <= row.predicted:
            return {}
        return {key: run for key, run in row.runs.items() if key in keys}

    def rows_on(folds: set) -> dict[str, Row]:
        selected = {name: runs_on(folds, name) for name in rows}
        return {
            name: replace(rows[name], runs=runs)
            for name, runs in selected.items()
            if runs
        }

    def size(selected: dict[str, Row]) -> tuple[int, int]:
        return sum(len(row.runs) for row in selected.values()), len(selected)

    sets = {frozenset(f) for seeds in available.values() for f in seeds.values()}
    candidates = {a & b for a in sets for b in sets} - {frozenset()}
    ordered = sorted(candidates, key=lambda folds: sorted(map(str, folds)))
    return max(map(rows_on, ordered), key=size, default={})
