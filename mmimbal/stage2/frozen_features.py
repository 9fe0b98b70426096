"""Features of a frozen backbone, and of backbone and neck; see feature_cache.py."""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmpretrain.models import ImageClassifier
from torch import nn
from torch.utils.data import Dataset

from mmimbal.models.necks import AdapterNeck
from mmimbal.stage2.feature_cache import cached_features

# Not in a description: the modules and their weights are hashed, and Mixup is for
# training alone. MMPretrain adds the first and the last to a config when it builds it.
UNUSED = ('type', 'init_cfg', 'batch_augments')


class PooledBackbone(nn.Module):
    """The frozen part of a classifier with an adapter.

    Args:
        model: A classifier with an :class:`mmimbal.models.necks.AdapterNeck`.
    """

    neck = None

    def __init__(self, model: ImageClassifier) -> None:
        super().__init__()
        self.data_preprocessor = model.data_preprocessor
        self.backbone = model.backbone

    def extract_feat(self, inputs: torch.Tensor) -> tuple[torch.Tensor]:
        """Return the pooled features of images, (N, C), in a tuple."""
        return (AdapterNeck.pool(self.backbone(inputs)),)


def backbone_features(
    model: ImageClassifier,
    dataset: Dataset,
    cfg: Config,
    loader: str,
    folder: Path,
    **options,
) -> np.memmap:
    """Return the features before an adapter, (V, N, C).

    Args:
        model: A classifier with an adapter.
        dataset: N images, with its pipeline.
        cfg: Config of the run.
        loader: Key of the dataset's loader: ``'train_dataloader'``, ...
        folder: Folder of the caches of all runs with this backbone.
        **options: As in :func:`cached_features`.
    """
    parts = ('data_preprocessor', 'backbone')
    description = describe(cfg, loader, parts)
    return cached_features(
        PooledBackbone(model), dataset, description, folder, **options
    )


def frozen_features(
    model: ImageClassifier,
    dataset: Dataset,
    cfg: Config,
    loader: str,
    folder: Path,
    backbone_folder: Path | None = None,
    **options,
) -> np.memmap:
    """Return the features of backbone and neck, (V, N, ...).

    An adapter takes the cached features of its backbone, not the images: those are
    shared by all adapters.

    Args:
        model: A classifier.
        dataset: N images, with its pipeline.
        cfg: Config of the run.
        loader: Key of the dataset's loader: ``'train_dataloader'``, ...
        folder: Folder of the caches of this run.
        backbone_folder: Folder of the features of a backbone before an adapter;
            ``folder`` if ``None``.
        **options: As in :func:`cached_features`.
    """
    below = None
    if isinstance(model.neck, AdapterNeck):
        below = partial(
            backbone_features,
            model,
            dataset,
            cfg,
            loader,
            backbone_folder or folder,
            **options,
        )
    description = describe(cfg, loader, ('data_preprocessor', 'backbone', 'neck'))
    return cached_features(
        model, dataset, description, folder, backbone_features=below, **options
    )


def describe(cfg: Config, loader: str, parts: tuple[str, ...]) -> str:
    """Return the parts of a config that features depend on, as text.

    Args:
        cfg: Config of a run.
        loader: Key of the dataset's loader.
        parts: Parts of the model that compute the features.
    """
    model = [cfg.model.get(key) or {} for key in parts]
    model = [_used(part) for part in model]
    return repr((cfg.get('data_preprocessor'), model, cfg[loader].dataset))


def _used(part: dict | list) -> dict | list:
    """Return a part of a model, or each part of a list, without unused keys."""
    if isinstance(part, list):  # several necks
        return [_used(each) for each in part]
    return {k: v for k, v in part.items() if k not in UNUSED}
