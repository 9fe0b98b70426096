"""The decisions of a published file, for test images that they were not fitted on."""

from pathlib import Path

from mmimbal.evaluation.predictions import Predictions
from mmimbal.files.checkpoint import load_from_local
from mmimbal.inference.decisions import Decisions
from mmimbal.inference.leaks import known_groups


def load_decisions(file: Path, test: Predictions) -> Decisions:
    """Load what tools/calibrate.py has stored, to measure it on test images.

    Args:
        file: The published file.
        test: Predictions for the test images.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it has no decisions, or these are for other classes; or if the
            decisions or the model are known to be fitted on groups of the test images.
    """
    meta = load_from_local(file, 'cpu').get('meta', {})
    if 'decisions' not in meta:
        raise ValueError(
            f'{file} has no decisions. Write a file that has them with '
            f'tools/calibrate.py {file} DATA --out calibrated.pth'
        )
    decisions = Decisions.from_dict(meta['decisions'], test.classes)
    groups = test.groups.tolist()
    fitted_on = {
        'the decisions were fitted': decisions.groups,
        'the model was trained': meta.get('training_groups', ()),
    }
    for what, hashes in fitted_on.items():
        if leaked := known_groups(groups, hashes):
            raise ValueError(
                f'{file}: {what} on {len(leaked)} of the {len(set(groups))} groups of '
                f'these predictions, the first is {leaked[0]}. Results would look too '
                'good: predict the test split with tools/test.py --split test'
            )
    return decisions
