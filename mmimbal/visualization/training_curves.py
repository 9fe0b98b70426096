"""What was logged in the training of runs."""

from collections.abc import Mapping

from mmimbal.evaluation.predictions import Predictions
from mmimbal.visualization import figures
from mmimbal.visualization.svg import Picture, picture


def training_curves(runs: Mapping[str, Predictions]) -> list[Picture]:
    """Draw one figure for each logged value, with the curves of all runs."""
    curves = {name: _curves(run) for name, run in runs.items()}
    logged = dict.fromkeys(name for of_run in curves.values() for name in of_run)
    return [
        picture(
            name,
            figures.draw_training,
            {run: of_run.get(name, {}) for run, of_run in curves.items()},
        )
        for name in logged
    ]


def _curves(run: Predictions) -> dict[str, dict[int, float]]:
    """Return the curves that were saved with predictions, by name and epoch."""
    return {
        # JSON has turned the epochs into text.
        name: {int(epoch): value for epoch, value in curve.items()}
        for name, curve in (run.about.get('curves') or {}).items()
    }
