"""Trained models, loaded for the prediction of new images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS

import mmimbal
from mmimbal.files.config_text import read_config
from mmimbal.files.state_hash import state_hash
from mmimbal.inference.decisions import Decisions
from mmimbal.inference.for_inference import (
    find_pipeline,
    inference_checkpoint,
    inference_config,
)
from mmimbal.inference.members import (
    ENSEMBLE,
    check_members,
    ensemble_of,
    find_members,
    load_member,
)


@dataclass(frozen=True)
class Predictor:
    """One model, or an ensemble, ready to predict.

    Attributes:
        model: The model, in eval mode.
        model_cfg: Config of the model.
        pipeline: Pipeline of the images.
        classes: Class names, K.
        members: Checkpoints of its members, with their ``meta``.
        decisions: What was fitted on calibration images, if anything was.
        model_hash: Hash of its weights.
    """

    model: BaseModel
    model_cfg: dict
    pipeline: list[dict]
    classes: tuple[str, ...]
    members: Mapping[Path, Mapping]
    decisions: Decisions | None = None
    model_hash: str = ''


def load_predictor(paths: Sequence[Path], device: str = 'cpu') -> Predictor:
    """Load one model, or several as an ensemble.

    Args:
        paths: As for :func:`find_members`.
        device: Device of the model.

    Raises:
        FileNotFoundError: If a checkpoint or config is missing.
        ValueError: If members cannot be averaged, or a published file does not fit
            this version.
    """
    init_default_scope('mmpretrain')
    checkpoints = [file for path in paths for file in find_members(path)]
    members = [load_member(checkpoint) for checkpoint in checkpoints]
    check_members(members)
    first = members[0]
    if len(members) == 1:
        cfg, state = first.model, first.state
    else:
        cfg, state = ensemble_of(members)
    model = MODELS.build(cfg)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        version = first.meta.get('mmimbal_version', 'unknown')
        raise ValueError(
            f'{first.checkpoint} does not fit its config. It was written by mmimbal '
            f'{version}, and this is {mmimbal.__version__}: publish it again from its '
            f'work dirs. {str(error).splitlines()[1].strip()[:200]}'
        ) from None
    model = model.to(device)
    model.eval()
    metas = {member.checkpoint: member.meta for member in members}
    stored = first.meta.get('decisions')
    decisions = Decisions.from_dict(stored, first.classes) if stored else None
    return Predictor(
        model, cfg, first.pipeline, first.classes, metas, decisions, state_hash(state)
    )


def published_hash(checkpoint: dict, cfg: Config) -> str | None:
    """Return the hash of a model as it would be published.

    Args:
        checkpoint: A checkpoint of training, or a published one.
        cfg: Its config.

    Returns:
        As ``Predictor.model_hash``; ``None`` if the model cannot be published.
    """
    try:
        published = inference_checkpoint(checkpoint, inference_config(cfg))
    except ValueError:
        return None
    return state_hash(published['state_dict'])


def load_ensemble(path: Path, cfg: Config) -> Predictor | None:
    """Return a published ensemble or that of a cross-validation; else ``None``.

    Args:
        path: As for :func:`find_members`.
        cfg: Config of the test images.

    Raises:
        FileNotFoundError: If there is no checkpoint.
        ValueError: If members cannot be averaged, or were trained on other images than
            the config makes.
    """
    checkpoints = find_members(path)
    if len(checkpoints) == 1:
        beside = checkpoints[0].with_suffix('.py')
        if not beside.is_file():
            return None
        kind = read_config(beside).get('model', {}).get('type')
        if kind != ENSEMBLE:
            return None
    ensemble = load_predictor([path])
    ours, theirs = ensemble.pipeline, find_pipeline(cfg)
    if ours != theirs:
        raise ValueError(
            f'{path} was made for the pipeline {ours}, but the config has {theirs}: '
            'give the config of its members'
        )
    return ensemble
