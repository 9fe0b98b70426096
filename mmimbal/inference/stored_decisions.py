"""The decisions of a published file, for test images that they were not fitted on."""

from collections.abc import Mapping
from pathlib import Path

from mmimbal.evaluation.predictions import Predictions
from mmimbal.files.checkpoint import load_from_local
from mmimbal.files.state_hash import state_hash
from mmimbal.inference.decisions import Decisions
from mmimbal.inference.leaks import groups_with_hash


def load_decisions(file: Path, test: Predictions) -> Decisions:
    """Load what tools/calibrate.py has stored, to measure it on test images.

    Args:
        file: The published file.
        test: Predictions for the test images.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it has no decisions, or these are for other classes; if the
            predictions are known to be of another model, or of several views; or if
            the decisions or the model are known to be fitted on groups of the test
            images.
    """
    loaded = load_from_local(file, 'cpu')
    meta = loaded.get('meta', {})
    if 'decisions' not in meta:
        raise ValueError(
            f'{file} has no decisions. Write a file that has them with '
            f'tools/calibrate.py {file} DATA --out calibrated.pth'
        )
    decisions = Decisions.from_dict(meta['decisions'], test.classes)
    check_made_by(test, state_hash(loaded['state_dict']), str(file))
    check_not_fitted_on(test, meta, decisions, str(file))
    return decisions


def check_made_by(test: Predictions, model_hash: str, name: str) -> None:
    """Check that predictions are of one view each, by a model.

    Args:
        test: The predictions; older ones do not tell their model.
        model_hash: Hash of the model.
        name: Its name.

    Raises:
        ValueError: If they are not.
    """
    made_by = test.about.get('model')
    if made_by and made_by != model_hash:
        raise ValueError(
            f'the predictions were made by another model than {name}, by '
            f'{test.about.get("checkpoint")}: predict the test split with this model'
        )
    if test.about.get('tta'):
        raise ValueError(
            f'the predictions average several views (--tta {test.about["tta"]}), but '
            f'{name} is for one view of each image: predict without --tta'
        )


def check_not_fitted_on(
    test: Predictions, meta: Mapping, decisions: Decisions | None, name: str
) -> None:
    """Check that neither a model nor its decisions were fitted on the test images.

    Args:
        test: Predictions for the test images.
        meta: ``meta`` of the checkpoint of the model.
        decisions: Its decisions, if any.
        name: Its name.

    Raises:
        ValueError: If they are known to be fitted on groups of these images.
    """
    groups = test.groups.tolist()
    fitted_on = {
        'the decisions were fitted': decisions.groups if decisions else (),
        'the model was trained': meta.get('training_groups', ()),
    }
    for what, hashes in fitted_on.items():
        if leaked := groups_with_hash(groups, hashes):
            raise ValueError(
                f'{name}: {what} on {len(leaked)} of the {len(set(groups))} groups of '
                f'these predictions, the first is {leaked[0]}. Results would look too '
                'good: predict the test split with tools/test.py --split test'
            )
