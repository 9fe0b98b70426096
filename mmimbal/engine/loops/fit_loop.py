"""Compute a head from cached features, without training."""

import numpy as np
import torch
from mmengine.hooks import EMAHook
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmimbal.datasets.labels_and_groups import get_labels
from mmimbal.engine.ddp import unwrap_model
from mmimbal.engine.loops.cached_features_loop import CachedFeaturesTrainLoop
from mmimbal.registry import LOOPS


@LOOPS.register_module()
class FitLoop(CachedFeaturesTrainLoop):
    """Fit a head to all training features at once, without gradient steps.

    For heads with ``fit(features, labels)``, such as nearest class mean. The loop has
    one epoch, which fits the head to all views of all images. Arguments are those of
    :class:`CachedFeaturesTrainLoop`, without ``max_epochs``.
    """

    def __init__(self, runner: Runner, dataloader: DataLoader | dict, **kwargs) -> None:
        super().__init__(runner, dataloader, max_epochs=1, **kwargs)

    def run_epoch(self) -> None:
        """Fit the head."""
        model = unwrap_model(self.runner.model)
        if not hasattr(model.head, 'fit'):
            raise ValueError(
                f'{type(model.head).__name__} is trained in steps: use '
                'mmimbal.CachedFeaturesTrainLoop or EpochBasedTrainLoop, not FitLoop'
            )
        if any(isinstance(hook, EMAHook) for hook in self.runner.hooks):
            raise ValueError(
                'FitLoop computes the head at once, so that there is nothing for '
                'EMAHook to average: remove the hook'
            )
        self.runner.call_hook('before_train_epoch')
        self.cache_features()
        images = self.dataloader.dataset
        device = next(model.parameters()).device
        features = torch.from_numpy(np.array(images.features)).float().flatten(0, 1)
        labels = torch.from_numpy(get_labels(images)).repeat(self.views)
        model.head.fit(features.to(device), labels.to(device))
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1
