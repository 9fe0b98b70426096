"""Datasets and cached features of one stage 1, which all heads share."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmpretrain.registry import DATASETS, MODELS
from torch.utils.data import Dataset

from mmimbal.datasets.spelling import SPLITS
from mmimbal.files.checkpoint import load_from_local
from mmimbal.stage2.freezing import freeze_features
from mmimbal.stage2.frozen_features import frozen_features
from mmimbal.stage2.stage1 import head_of, load_stage1


@dataclass
class Stage1Features:
    """Datasets and cached features of one stage 1, which all heads share.

    Attributes:
        datasets: Dataset of each split.
        features: Features of each split, (V, N, in_channels). V is 1 for validation
            and test.
        state: State dict of the complete model of stage 1.
        checkpoint: Path of its checkpoint.
        rebalanced_by: Name of its loss that uses the class counts, if any.
    """

    datasets: dict[str, Dataset]
    features: dict[str, np.ndarray]
    state: dict[str, torch.Tensor]
    checkpoint: str = ''
    rebalanced_by: str | None = None

    @property
    def head(self) -> dict[str, torch.Tensor]:
        """State dict of the head of stage 1."""
        return head_of(self.state)


def build_datasets(cfg: Config, splits: Sequence[str] = SPLITS) -> dict[str, Dataset]:
    """Build the datasets of some splits.

    Raises:
        ValueError: If the config has no loader for a split.
    """
    for split in splits:
        if not cfg.get(f'{split}_dataloader'):
            raise ValueError(
                f'the config has no {split}_dataloader: add one'
                + (', or use --validation-only' if split == 'test' else '')
            )
    return {
        split: DATASETS.build(cfg[f'{split}_dataloader'].dataset) for split in splits
    }


def compute_stage1_features(
    cfg: Config,
    datasets: dict[str, Dataset],
    checkpoint: Path,
    folder: Path,
    views: int,
    dtype: str = 'float32',
    backbone_folder: str | None = None,
) -> Stage1Features:
    """Compute the features of all splits with the frozen backbone of stage 1.

    Args:
        cfg: Config of any method of stage 2, from :func:`stage2_config`.
        datasets: Dataset of each split.
        checkpoint: Checkpoint of stage 1.
        folder: Folder of the feature caches; existing ones are read.
        views: Augmented views of each training image, V.
        dtype: Type of the features on disk.
        backbone_folder: Folder of the features of a backbone before an adapter.

    Raises:
        ValueError: See :func:`load_stage1` and :func:`cached_features`.
    """
    model = MODELS.build(dict(cfg.model, head=None))
    state = load_stage1(model, checkpoint, next(iter(datasets.values())))
    freeze_features(model, update_bn=False)
    model.to(get_device(), memory_format=torch.channels_last)
    cv2.setNumThreads(0)  # as in a Runner: loaders have their own processes
    features = {}
    for split, dataset in datasets.items():
        loader = cfg[f'{split}_dataloader']
        features[split] = frozen_features(
            model,
            dataset,
            cfg,
            f'{split}_dataloader',
            folder,
            backbone_folder and Path(backbone_folder),
            views=views if split == 'train' else 1,
            dtype=dtype,
            batch_size=loader.batch_size,
            num_workers=loader.get('num_workers', 0),
            name=split,
        )
    meta = load_from_local(checkpoint, 'cpu').get('meta', {})
    return Stage1Features(
        datasets, features, state, str(checkpoint), meta.get('rebalanced_by')
    )
