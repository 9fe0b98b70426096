"""Load the weights that are tested into a Runner, and check that they fit."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mmengine.runner import Runner

from mmimbal.command_line.config_mistakes import differing_keys
from mmimbal.datasets.group_hashes import groups_or_files
from mmimbal.datasets.labels_and_groups import check_trained_classes
from mmimbal.engine.ddp import unwrap_model
from mmimbal.files.checkpoint import load_from_local, safe_loading
from mmimbal.inference.leaks import check_no_leak, describe_leak
from mmimbal.inference.predictor import Predictor, published_hash


@dataclass(frozen=True)
class LoadedModel:
    """What is known of a model that a Runner tests.

    Attributes:
        meta: ``meta`` of its checkpoint; for an ensemble, of the first member.
        hash: As ``Predictor.model_hash``.
        leak: A sentence if it was trained on groups of the test images, else ``''``.
    """

    meta: Mapping
    hash: str | None
    leak: str = ''


def load_ensemble_for_test(runner: Runner, ensemble: Predictor) -> LoadedModel:
    """Load the weights of an ensemble.

    Raises:
        ValueError: If a member was trained on test images, or on other classes.
    """
    dataset = runner.test_dataloader.dataset
    check_no_leak(ensemble.members, groups_or_files(dataset))
    for file, meta in ensemble.members.items():
        check_trained_classes(meta, dataset, file)
    unwrap_model(runner.model).load_state_dict(ensemble.model.state_dict())
    return LoadedModel(next(iter(ensemble.members.values())), ensemble.model_hash)


def load_checkpoint_for_test(
    runner: Runner, checkpoint: Path, config: str, split: str | None
) -> LoadedModel:
    """Load the weights of a checkpoint.

    Args:
        runner: The runner.
        checkpoint: The file.
        config: Name of the config, for messages.
        split: That of the images. Training images are no leak.

    Raises:
        ValueError: If the checkpoint is that of another model, or was trained on other
            classes.
    """
    dataset = runner.test_dataloader.dataset
    with safe_loading():
        try:  # strict: a checkpoint of another model must be an error
            loaded = runner.load_checkpoint(str(checkpoint), strict=True)
        except RuntimeError as error:  # from mmengine, with all keys
            # Other classes are other shapes, too: they say more.
            meta = load_from_local(checkpoint, 'cpu').get('meta', {})
            check_trained_classes(meta, dataset, checkpoint)
            raise ValueError(
                f'{checkpoint} is no checkpoint of {config}: give the config that it '
                f'was trained with. {differing_keys(str(error))}'
            ) from None
    meta = loaded.get('meta', {})
    check_trained_classes(meta, dataset, checkpoint)
    groups = None if split == 'train' else groups_or_files(dataset)
    leak = describe_leak(meta, groups)
    return LoadedModel(meta, published_hash(loaded, runner.cfg), leak)
