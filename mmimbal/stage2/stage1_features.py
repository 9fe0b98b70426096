"""What all heads of one stage 1 share: its images, and what it makes of them."""

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

from mmimbal.stage2.feature_cache import cached_features, describe
from mmimbal.stage2.freezing import FROZEN_PARTS, freeze
from mmimbal.stage2.stage1 import head_of, load_stage1

SPLITS = ('train', 'val', 'test')


@dataclass
class Stage1Features:
    """What all heads share: images, and what the frozen backbone makes of them.

    Attributes:
        datasets: Of each split.
        features: Of each split, (V, N, in_channels); V is 1 but for training.
        state: Of the whole model of stage 1.
        checkpoint: Its path.
    """

    datasets: dict[str, Dataset]
    features: dict[str, np.ndarray]
    state: dict[str, torch.Tensor]
    checkpoint: str = ''

    @property
    def head(self) -> dict[str, torch.Tensor]:
        """State of the head of stage 1."""
        return head_of(self.state)


def build_datasets(cfg: Config, splits: Sequence[str] = SPLITS) -> dict[str, Dataset]:
    """Build the datasets of some splits.

    Raises:
        ValueError: If the config lacks one.
    """
    for split in splits:
        if not cfg.get(f'{split}_dataloader'):
            raise ValueError(f'the config has no {split}_dataloader')
    return {
        split: DATASETS.build(cfg[f'{split}_dataloader'].dataset) for split in splits
    }


def extract(
    cfg: Config,
    datasets: dict[str, Dataset],
    checkpoint: Path,
    folder: Path,
    views: int,
    dtype: str = 'float32',
) -> Stage1Features:
    """Send the images of all splits through the frozen backbone of stage 1.

    Args:
        cfg: Config of any method of stage 2, as :func:`stage2_config` returns it.
        datasets: Of each split.
        checkpoint: Of stage 1.
        folder: Where features are kept; what is there already is read.
        views: Augmented views of each training image, V.
        dtype: Of the features on disk.

    Raises:
        ValueError: See :func:`load_stage1` and :func:`cached_features`.
    """
    model = MODELS.build(dict(cfg.model, head=None))
    state = load_stage1(model, checkpoint)
    for name in FROZEN_PARTS:
        if getattr(model, name, None) is not None:
            freeze(getattr(model, name), update_bn=False)
    model.to(get_device(), memory_format=torch.channels_last)
    cv2.setNumThreads(0)  # as a Runner does: loaders have processes of their own
    features = {}
    for split, dataset in datasets.items():
        loader = cfg[f'{split}_dataloader']
        features[split] = cached_features(
            model,
            dataset,
            describe(cfg, f'{split}_dataloader'),
            folder,
            views if split == 'train' else 1,
            dtype=dtype,
            batch_size=loader.batch_size,
            num_workers=loader.get('num_workers', 0),
            name=split,
        )
    return Stage1Features(datasets, features, state, str(checkpoint))
