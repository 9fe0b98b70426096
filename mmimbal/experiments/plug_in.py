"""The plug-in effect: what a recipe adds to a control, under all ways of stage 2."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mmimbal.experiments.comparison import JUDGED_BY, Comparison
from mmimbal.experiments.fold_test import p_value

ROUNDING = 1e-9  # differences below are of floats alone


@dataclass(frozen=True)
class PlugInEffect:
    """Rows of a recipe minus rows of a control, paired by their stage 2.

    Attributes:
        recipe: Method of stage 1.
        control: Another method of stage 1: that without its metric loss, or plain
            cross-entropy.
        differences: For each stage 2 and each metric, in percentage points, (1 + R,):
            the measured difference, then R resamples.
        p_values: For each metric, of the corrected resampled t-test over folds;
            see :func:`mmimbal.experiments.fold_test.p_value`.
    """

    recipe: str
    control: str
    differences: Mapping[str, Mapping[str, np.ndarray]]
    p_values: Mapping[str, float | None]

    @property
    def rows(self) -> list[str]:
        """Names of the rows that are compared."""
        methods = (self.recipe, self.control)
        return [f'{method} + {way}' for method in methods for way in self.differences]

    def mean(self, metric: str) -> np.ndarray:
        """Return the mean difference over all ways of stage 2, (1 + R,)."""
        return np.mean([each[metric] for each in self.differences.values()], axis=0)

    def above_zero(self, metric: str) -> int:
        """Return in how many ways of stage 2 the measured difference is above 0."""
        return sum(each[metric][0] > ROUNDING for each in self.differences.values())


def plug_in_effect(
    comparison: Comparison, recipe: str, control: str
) -> PlugInEffect | None:
    """Compare two methods of stage 1 under all ways of stage 2 that both have.

    Args:
        comparison: Comparison of a data set.
        recipe: Method with metric learning.
        control: Method to compare with.

    Returns:
        The effect; ``None`` if they have no stage 2 in common yet.
    """
    ways = {
        row.stage2: name
        for name, row in comparison.rows.items()
        if row.method == recipe and row.stage2
    }
    others = {
        row.stage2: name
        for name, row in comparison.rows.items()
        if row.method == control and row.stage2
    }
    shared = sorted(ways.keys() & others.keys())
    if not shared:
        return None
    differences = {
        way: {
            metric: comparison.difference(ways[way], others[way], metric)
            for metric in JUDGED_BY
        }
        for way in shared
    }
    pairs = [(ways[way], others[way]) for way in shared]
    p_values = {metric: p_value(comparison, pairs, metric) for metric in JUDGED_BY}
    return PlugInEffect(recipe, control, differences, p_values)
