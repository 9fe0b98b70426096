"""Train stage 2 on features that are computed only once."""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmpretrain.structures import DataSample
from torch import nn
from torch.utils.data import DataLoader, Dataset

from mmimbal.datasets.labels_and_groups import get_labels, read_through_wrappers
from mmimbal.engine.checks.hooks_of_images import check_no_hook_needs_images
from mmimbal.engine.ddp import seed_of_first_rank, unwrap_model
from mmimbal.engine.hooks.stages import config_of_stage
from mmimbal.models.needs import WITHOUT_MIXTURES
from mmimbal.registry import LOOPS
from mmimbal.stage2.freezing import FROZEN_PARTS
from mmimbal.stage2.frozen_features import frozen_features
from mmimbal.stage2.head_training import check_size


class CachedFeatures(Dataset):
    """A dataset of features that replace the images of another dataset.

    A batch is read with one call, by a list of indices.

    Args:
        image_loader: Loader of N images.
        features: Features of V views of each image, (V, N, ...).
        device: Device of the labels.
    """

    def __init__(
        self, image_loader: DataLoader, features: np.ndarray, device: torch.device
    ) -> None:
        self.image_loader = image_loader
        self.dataset = dataset = image_loader.dataset
        self.metainfo = dataset.metainfo
        self.features = features
        self.view = 0
        # (N, 1): MMPretrain moves labels without a dimension to the CPU.
        labels = torch.from_numpy(get_labels(dataset)).to(device)[:, None]
        self.samples = [
            DataSample(metainfo=dict(sample_idx=index)).set_gt_label(label)
            for index, label in enumerate(labels)
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

    Before the first epoch, backbone and neck compute features of ``views`` augmented
    views of every training image, and of the validation images without augmentation.
    Epoch e then trains on view ``e % views``. Samplers, hooks and the checkpoint are
    the same as without the cache. The run needs a
    :class:`mmimbal.engine.hooks.TwoStageHook`, and ``train_cfg=dict(_delete_=True,
    type='mmimbal.CachedFeaturesTrainLoop', max_epochs=20)``.

    Args:
        runner: The runner.
        dataloader: Loader of the training images.
        max_epochs: Number of epochs.
        views: Augmented views of each training image.
        cache_dir: Folder of the features; ``features`` in the work dir if ``None``.
        dtype: Type of the features on disk: ``'float32'`` or ``'float16'``.
        **kwargs: As in :class:`mmengine.runner.EpochBasedTrainLoop`.

    Raises:
        ValueError: In training, if backbone or neck are not frozen, the model mixes
            images (Mixup, CutMix), or a hook needs or changes images.
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
        """Train; restore the model's image part and the loaders at the end."""
        try:
            return super().run()
        finally:
            self._take_images()

    def run_epoch(self) -> None:
        """Train on one view of each image."""
        self._cache_images()
        self.runner.call_hook('before_train_epoch')
        self._cache_images()  # a single run may have begun stage 2, on new batches
        self.dataloader.dataset.view = self.epoch % self.views
        self.runner.model.train()
        for index, batch in enumerate(self.dataloader):
            self.run_iter(index, batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def _cache_images(self) -> None:
        if not isinstance(self.dataloader.dataset, CachedFeatures):
            self._take_images()
            self.cache_features()

    def _take_images(self) -> None:
        """Let the model and the loops take images again."""
        model = unwrap_model(self.runner.model)
        vars(model.data_preprocessor).pop('forward', None)
        vars(model).pop('extract_feat', None)
        for loop in (self, self.runner.val_loop):
            if loop and isinstance(loop.dataloader.dataset, CachedFeatures):
                loop.dataloader = loop.dataloader.dataset.image_loader

    def features(self, model: nn.Module, *args, **kwargs) -> np.memmap:
        """Return the features of a loader's images; see :func:`frozen_features`."""
        check_frozen(model)
        return frozen_features(model, *args, **kwargs)

    def check_features(self, model: nn.Module, shape: tuple[int, ...]) -> None:
        """Raise a ValueError if the head does not fit features of this shape."""
        check_size(model.head, shape)

    @staticmethod
    def extract_feat(
        model: nn.Module, inputs: torch.Tensor, stage: str = 'neck'
    ) -> tuple[torch.Tensor]:
        """Return the features of the head, (N, C), from cached ones."""
        return (inputs,)

    def cache_features(self) -> None:
        """Put features of the frozen parts in place of the images of all loaders.

        Raises:
            ValueError: If images are mixed, a hook needs images, parts still learn, or
                the head does not fit the features.
        """
        model = unwrap_model(self.runner.model)
        if getattr(model.data_preprocessor, 'batch_augments', None) is not None:
            raise ValueError(
                'Mixup and CutMix mix images, which cached features do not allow: '
                f'{WITHOUT_MIXTURES}, or train with EpochBasedTrainLoop'
            )
        check_no_hook_needs_images(self.runner.hooks)
        device = next(model.parameters()).device
        cfg = config_of_stage(self.runner)
        loops = [(self, 'train_dataloader', self.views)]
        if self.runner.val_loop:
            loops.append((self.runner.val_loop, 'val_dataloader', 1))
        cached = []
        for loop, key, views in loops:
            loader = loop.dataloader
            features = self.features(
                model,
                loader.dataset,
                cfg,
                key,
                self.cache_dir,
                views=views,
                seed=seed_of_first_rank(self.runner),  # one cache for all ranks
                dtype=self.dtype,
                batch_size=loader.batch_size or cfg[key].batch_size,
                num_workers=loader.num_workers,
                name=key.removesuffix('_dataloader'),
            )
            self.check_features(model, features.shape[2:])
            cached.append(CachedFeatures(loader, features, device))
            self.runner.logger.info(
                f'Cached features of {key}: {" x ".join(map(str, features.shape))} in '
                f'{Path(features.filename).parent}'
            )
        for (loop, *_), dataset in zip(loops, cached, strict=True):
            loop.dataloader = DataLoader(
                dataset,
                batch_sampler=loop.dataloader.batch_sampler,
                collate_fn=_identity,
            )
        # The modules stay in the model, because EMA hooks pair modules by position.
        model.data_preprocessor.forward = partial(_to_device, device)
        model.extract_feat = partial(self.extract_feat, model)


def check_frozen(model: nn.Module) -> None:
    """Raise a ValueError if training would change the backbone or neck of a model."""
    for name in FROZEN_PARTS:
        part = getattr(model, name, None)
        if part is None:
            continue
        part.train()  # as in each epoch: frozen batch norm stays in eval mode
        if any(p.requires_grad for p in part.parameters()):
            raise ValueError(
                f'the {name} is not frozen, so its features cannot be cached: add a '
                'mmimbal.TwoStageHook with stage1 to the run; one with epoch needs '
                'EpochBasedTrainLoop'
            )
        if any(module.training for module in part.modules()):
            raise ValueError(
                f'the {name} keeps updating its batch norm statistics, so its '
                "features cannot be cached: use bn='frozen' in the TwoStageHook"
            )


def _to_device(device: torch.device, data: dict, training: bool = False) -> dict:
    return dict(data, inputs=data['inputs'].to(device))


def _identity(batch: dict) -> dict:
    return batch
