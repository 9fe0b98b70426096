"""Stage 2 on features that were computed once."""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmpretrain.structures import DataSample
from torch import nn
from torch.utils.data import DataLoader, Dataset

from mmimbal.datasets.labels_and_groups import get_labels, read_through_wrappers
from mmimbal.engine.ddp import unwrap_model
from mmimbal.registry import LOOPS
from mmimbal.stage2.feature_cache import cached_features, describe
from mmimbal.stage2.freezing import FROZEN_PARTS
from mmimbal.stage2.head_training import check_size


class CachedFeatures(Dataset):
    """Features in place of the images of a dataset.

    A batch is read at once, by a list of indices.

    Args:
        dataset: N images.
        features: V views of each, (V, N, ...).
        device: Where labels are wanted.
    """

    def __init__(
        self, dataset: Dataset, features: np.ndarray, device: torch.device
    ) -> None:
        self.dataset = dataset
        self.metainfo = dataset.metainfo
        self.features = features
        self.view = 0
        self.samples = [
            DataSample(metainfo=dict(sample_idx=index)).set_gt_label(label)
            for index, label in enumerate(
                torch.from_numpy(get_labels(dataset)).to(device)
            )
        ]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitems__(self, indices: list[int]) -> dict:
        features = torch.from_numpy(self.features[self.view, indices]).float()
        samples = [self.samples[index] for index in indices]
        return dict(inputs=features, data_samples=samples)


@read_through_wrappers.register
def _(dataset: CachedFeatures, read) -> np.ndarray:
    return read_through_wrappers(dataset.dataset, read)


@LOOPS.register_module()
class CachedFeaturesTrainLoop(EpochBasedTrainLoop):
    """Train a head on cached features of a frozen backbone and neck.

    Before the first epoch, ``views`` augmented views of every training image, and the
    validation images as they are, go through backbone and neck once; epoch e then
    trains on view ``e % views``. The rest of a run, samplers and hooks included, is as
    without the cache, and so is its checkpoint. For a run with a
    :class:`mmimbal.engine.hooks.TwoStageHook`: ``train_cfg=dict(_delete_=True,
    type='mmimbal.CachedFeaturesTrainLoop', max_epochs=20)``.

    Args:
        runner: The runner.
        dataloader: Of the training images.
        max_epochs: Epochs.
        views: Augmented views of each training image.
        cache_dir: Where features are kept; ``features`` in the work dir if ``None``.
        dtype: Of the features on disk: ``'float32'`` or ``'float16'``.
        **kwargs: As in :class:`mmengine.runner.EpochBasedTrainLoop`.

    Raises:
        ValueError: In training, if backbone or neck still learn, or images are mixed.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        max_epochs: int,
        views: int = 1,
        cache_dir: str | None = None,
        dtype: str = 'float32',
        **kwargs,
    ) -> None:
        super().__init__(runner, dataloader, max_epochs, **kwargs)
        self.views = views
        self.cache_dir = Path(cache_dir or Path(runner.work_dir, 'features'))
        self.dtype = dtype

    def run(self) -> nn.Module:
        """Train, with the model's image part out of the way."""
        model = unwrap_model(self.runner.model)
        loops = [self, self.runner.val_loop] if self.runner.val_loop else [self]
        loaders = [loop.dataloader for loop in loops]
        try:
            return super().run()
        finally:
            vars(model.data_preprocessor).pop('forward', None)
            vars(model).pop('extract_feat', None)
            for loop, loader in zip(loops, loaders, strict=True):
                loop.dataloader = loader

    def run_epoch(self) -> None:
        """Train on one view of each image."""
        if not isinstance(self.dataloader.dataset, CachedFeatures):
            self._cache()
        self.dataloader.dataset.view = self.epoch % self.views
        super().run_epoch()

    def _cache(self) -> None:
        model = unwrap_model(self.runner.model)
        check_frozen(model)
        if getattr(model.data_preprocessor, 'batch_augments', None) is not None:
            raise ValueError(
                'Mixup and CutMix mix images, of which cached features know nothing: '
                'leave model.train_cfg.augments out, or train with EpochBasedTrainLoop'
            )
        device = next(model.parameters()).device
        loops = [(self, 'train_dataloader', self.views)]
        if self.runner.val_loop:
            loops.append((self.runner.val_loop, 'val_dataloader', 1))
        cached = []
        for loop, key, views in loops:
            loader = loop.dataloader
            features = cached_features(
                model,
                loader.dataset,
                describe(self.runner.cfg, key),
                self.cache_dir,
                views,
                self.runner.seed,
                self.dtype,
                loader.batch_size or self.runner.cfg[key].batch_size,
                loader.num_workers,
                name=key.removesuffix('_dataloader'),
            )
            check_size(model.head, features.shape[2:])
            cached.append(CachedFeatures(loader.dataset, features, device))
            self.runner.logger.info(
                f'Cached features of {key}: {" x ".join(map(str, features.shape))} in '
                f'{Path(features.filename).parent}'
            )
        for (loop, *_), dataset in zip(loops, cached, strict=True):
            loop.dataloader = DataLoader(
                dataset,
                batch_sampler=loop.dataloader.batch_sampler,
                collate_fn=_as_it_is,
            )
        # Not replaced, since hooks that average a model know its parts by their place.
        model.data_preprocessor.forward = partial(_moved, device)
        model.extract_feat = _as_features


@LOOPS.register_module()
class FitLoop(CachedFeaturesTrainLoop):
    """Work out a head from all training features at once, in place of steps.

    For heads with ``fit(features, labels)``, such as nearest class mean: one epoch, in
    which all views of all images are handed to it. Arguments are those of
    :class:`CachedFeaturesTrainLoop`, less ``max_epochs``.
    """

    def __init__(self, runner: Runner, dataloader: DataLoader | dict, **kwargs) -> None:
        super().__init__(runner, dataloader, max_epochs=1, **kwargs)

    def run_epoch(self) -> None:
        """Fit the head."""
        self.runner.call_hook('before_train_epoch')
        self._cache()
        images = self.dataloader.dataset
        model = unwrap_model(self.runner.model)
        device = next(model.parameters()).device
        features = torch.from_numpy(np.array(images.features)).float().flatten(0, 1)
        labels = torch.from_numpy(get_labels(images)).repeat(self.views)
        model.head.fit(features.to(device), labels.to(device))
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1


def check_frozen(model: nn.Module) -> None:
    """Raise a ValueError if cached features of a classifier would soon be wrong."""
    for name in FROZEN_PARTS:
        part = getattr(model, name, None)
        if part is None:
            continue
        part.train()
        if any(p.requires_grad for p in part.parameters()):
            raise ValueError(
                f'the {name} still learns, so that its features cannot be cached: add '
                'a mmimbal.TwoStageHook to the run'
            )
        if any(module.training for module in part.modules()):
            raise ValueError(
                f'the {name} goes on updating its batch norm statistics, so that its '
                "features cannot be cached: use bn='frozen' in the TwoStageHook"
            )


def _moved(device: torch.device, data: dict, training: bool = False) -> dict:
    return dict(data, inputs=data['inputs'].to(device))


def _as_it_is(batch: dict) -> dict:
    return batch


def _as_features(inputs: torch.Tensor, stage: str = 'neck') -> tuple[torch.Tensor]:
    return (inputs,)
