"""Trained models, loaded for the prediction of new images."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS

import mmimbal
from mmimbal.files.checkpoint import load_from_local
from mmimbal.inference.decisions import Decisions
from mmimbal.stage2.config import find_config
from mmimbal.stage2.publishing import (
    find_pipeline,
    inference_checkpoint,
    inference_config,
)
from mmimbal.stage2.stage1 import find_checkpoint

FOLD = re.compile(r'fold\d+')


@dataclass(frozen=True)
class Member:
    """A trained classifier.

    Attributes:
        checkpoint: Its file.
        cfg: Its config, for inference.
        state: Its weights.
        pipeline: Its pipeline of test images.
        classes: Class names, K.
        meta: The other content of its checkpoint.
    """

    checkpoint: Path
    cfg: Config
    state: dict[str, torch.Tensor]
    pipeline: list[dict]
    classes: tuple[str, ...]
    meta: dict

    @property
    def model(self) -> dict:
        """Config of the model."""
        return self.cfg.model.to_dict()


@dataclass(frozen=True)
class Predictor:
    """One model, or an ensemble, ready to predict.

    Attributes:
        model: The model, in eval mode.
        cfg: Its config, for inference.
        pipeline: Pipeline of the images.
        classes: Class names, K.
        members: Checkpoints of its members, with their ``meta``.
        decisions: What was fitted on calibration images, if anything was.
    """

    model: BaseModel
    cfg: dict
    pipeline: list[dict]
    classes: tuple[str, ...]
    members: Mapping[Path, Mapping]
    decisions: Decisions | None = None


def find_members(path: Path) -> list[Path]:
    """Return the checkpoints of a model.

    Args:
        path: A checkpoint, a work dir, or the folder of a cross-validation: then the
            best checkpoint of each fold.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If a work dir has best checkpoints by several metrics.
    """
    folds = [
        folder
        for folder in (path.iterdir() if path.is_dir() else ())
        if folder.is_dir() and FOLD.fullmatch(folder.name)
    ]
    folds.sort(key=lambda folder: int(folder.name.removeprefix('fold')))
    return [find_checkpoint(str(folder)) for folder in folds or [path]]


def load_member(checkpoint: Path, config: str | None = None) -> Member:
    """Load a checkpoint.

    Args:
        checkpoint: The file.
        config: Its config; the one beside it if ``None``.

    Raises:
        FileNotFoundError: If it has no config.
        ValueError: If the config has no pipeline of test images, or does not fit; or
            if the checkpoint has no class names.
    """
    cfg = Config.fromfile(config or find_config(checkpoint))
    loaded = load_from_local(checkpoint, 'cpu')
    if cfg.model.get('type') != 'mmimbal.EnsembleClassifier':
        cfg = inference_config(cfg)
        loaded = inference_checkpoint(loaded, cfg)
    meta = loaded.get('meta', {})
    classes = tuple(meta.get('dataset_meta', {}).get('classes', ()))
    if not classes:
        raise ValueError(f'{checkpoint} has no class names (meta.dataset_meta.classes)')
    return Member(
        checkpoint,
        cfg,
        loaded['state_dict'],
        find_pipeline(cfg),
        classes,
        meta,
    )


def check_members(members: Sequence[Member]) -> None:
    """Check that members can be averaged.

    Raises:
        ValueError: If their classes, the order of these, their pipelines or data
            preprocessors differ; the message names two members.
    """
    first, *others = members
    for other in others:
        names = f'{first.checkpoint} and {other.checkpoint} cannot be averaged'
        if set(first.classes) != set(other.classes):
            differing = ', '.join(sorted(set(first.classes) ^ set(other.classes)))
            raise ValueError(f'{names}: only one of them has the classes {differing}')
        if first.classes != other.classes:
            raise ValueError(f'{names}: the order of their classes differs')
        if first.pipeline != other.pipeline:
            raise ValueError(
                f'{names}: their pipelines of test images differ, for example in size: '
                f'{first.pipeline} and {other.pipeline}'
            )
        ours, theirs = (
            member.model.get('data_preprocessor') for member in (first, other)
        )
        if ours != theirs:
            raise ValueError(f'{names}: their images are normalized in another way')


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
            f'work dirs. {error}'
        ) from None
    model = model.to(device)
    model.eval()
    metas = {member.checkpoint: member.meta for member in members}
    stored = first.meta.get('decisions')
    if stored and len(members) > 1:
        raise ValueError(
            f'{first.checkpoint} is calibrated by itself: average the members before '
            'calibration, publish them, and calibrate the ensemble'
        )
    decisions = Decisions.from_dict(stored, first.classes) if stored else None
    return Predictor(model, cfg, first.pipeline, first.classes, metas, decisions)


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
        kind = Config.fromfile(beside).get('model', {}).get('type')
        if kind != 'mmimbal.EnsembleClassifier':
            return None
    ensemble = load_predictor([path])
    ours, theirs = ensemble.pipeline, find_pipeline(cfg)
    if ours != theirs:
        raise ValueError(
            f'{path} was made for the pipeline {ours}, but the config has {theirs}: '
            'give the config of its members'
        )
    return ensemble


def ensemble_of(members: Sequence[Member]) -> tuple[dict, dict[str, torch.Tensor]]:
    """Return config and weights of an ensemble."""
    preprocessor = members[0].model.get('data_preprocessor')
    cfg = dict(
        type='mmimbal.EnsembleClassifier',
        members=[member.model for member in members],
        data_preprocessor=preprocessor,
    )
    state = {
        f'members.{number}.{key}': value
        for number, member in enumerate(members)
        for key, value in member.state.items()
    }
    return cfg, state
