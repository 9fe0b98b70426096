"""Checkpoints that predict alone, or together as an ensemble."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config

from mmimbal.datasets.index_header import names_of_folds
from mmimbal.datasets.sources.walk import SUFFIXES
from mmimbal.files.checkpoint import load_from_local
from mmimbal.files.config_text import read_config
from mmimbal.files.work_dir import find_checkpoint, find_config
from mmimbal.inference.for_inference import (
    find_pipeline,
    inference_checkpoint,
    inference_config,
)

ENSEMBLE = 'mmimbal.EnsembleClassifier'


@dataclass(frozen=True)
class Member:
    """A trained classifier.

    Attributes:
        checkpoint: Its file.
        cfg: Its config, for inference.
        state: Its weights.
        pipeline: Its pipeline of test images.
        classes: Class names, K.
        meta: ``meta`` of its checkpoint.
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


def find_members(path: Path) -> list[Path]:
    """Return the checkpoints of a model.

    Args:
        path: A checkpoint, a work dir, or the folder of a cross-validation: then the
            best checkpoint of each fold, or its last if it has no best one.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is an image or a config, or a work dir has best checkpoints
            by several metrics.
    """
    if path.suffix.lower() in SUFFIXES:
        raise ValueError(
            f'{path} is an image, but a model is expected here: name one folder or '
            'image after the models, and further ones with --more-images'
        )
    if path.suffix == '.py' and path.is_file():
        raise ValueError(f'{path} is a config, but a checkpoint is expected here')
    folders = path.iterdir() if path.is_dir() else ()
    folds = names_of_folds(folder.name for folder in folders if folder.is_dir())
    return [find_checkpoint(str(path / name)) for name in folds or ['']]


def load_member(checkpoint: Path, config: str | None = None) -> Member:
    """Load a checkpoint.

    Args:
        checkpoint: The file.
        config: Its config; the one beside it if ``None``.

    Raises:
        FileNotFoundError: If it has no config.
        ValueError: If the config is damaged, has no model or no pipeline of test
            images, or does not fit; or if the checkpoint has no class names, or is
            none.
    """
    file = config or find_config(checkpoint)
    cfg = read_config(file)
    if not isinstance(cfg.get('model'), dict):
        raise ValueError(f'{file} has no model: it is not a config of a classifier')
    loaded = load_from_local(checkpoint, 'cpu')
    if cfg.model.get('type') != ENSEMBLE:
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
            preprocessors differ; the message names two members. Or if one of several
            is an ensemble, is calibrated, or is given twice.
    """
    first, *others = members
    files = [member.checkpoint.resolve() for member in members]
    for member, file in zip(members, files, strict=True):
        if files.count(file) > 1:
            raise ValueError(
                f'{member.checkpoint} is given twice, directly or by its folder: it '
                'would count twice in the average'
            )
    for member in members if others else ():
        if member.model.get('type') == ENSEMBLE:
            raise ValueError(
                f'{member.checkpoint} is an ensemble itself: give its members instead'
            )
        if member.meta.get('decisions'):
            raise ValueError(
                f'{member.checkpoint} is calibrated by itself: average the members '
                'before calibration, publish them, and calibrate the ensemble'
            )
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


def number_of_members(model: Mapping) -> int:
    """Return the number of classifiers in the config of a model."""
    return len(model['members']) if model.get('type') == ENSEMBLE else 1


def ensemble_of(members: Sequence[Member]) -> tuple[dict, dict[str, torch.Tensor]]:
    """Return config and weights of an ensemble."""
    preprocessor = members[0].model.get('data_preprocessor')
    cfg = dict(
        type=ENSEMBLE,
        members=[member.model for member in members],
        data_preprocessor=preprocessor,
    )
    state = {
        f'members.{number}.{key}': value
        for number, member in enumerate(members)
        for key, value in member.state.items()
    }
    return cfg, state
