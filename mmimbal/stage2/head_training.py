"""Train and apply heads on cached features without a Runner."""

from collections.abc import Mapping

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.optim import build_optim_wrapper
from mmpretrain.structures import DataSample
from torch import nn
from torch.utils.data import Dataset

from mmimbal.datasets import get_class_counts, get_labels
from mmimbal.datasets.random_state import kept_random_state
from mmimbal.models.needs import give_class_counts, give_epoch
from mmimbal.stage2.batches_and_schedule import build_batches, build_schedule
from mmimbal.stage2.fresh_head import build_seeded


def build_head(
    cfg: Config, seed: int, stage1: Mapping[str, torch.Tensor], shape: tuple[int, ...]
) -> nn.Module:
    """Build a new head, or one that starts from the classifier of stage 1.

    Args:
        cfg: Config of the head.
        seed: Seed of its weights.
        stage1: State dict of the head of stage 1.
        shape: Shape of the features of one image.

    Raises:
        ValueError: If the head does not fit the features or the classifier of stage 1.
    """
    head = build_seeded(cfg, seed)
    check_size(head, shape)
    if hasattr(head, 'load_stage1'):
        head.load_stage1(stage1)
    return head


def check_size(head: nn.Module, shape: tuple[int, ...]) -> None:
    """Raise a ValueError if a head does not fit features of this shape."""
    name = type(head).__name__
    if len(shape) != 1:
        raise ValueError(
            f'{name} needs one vector for each image, but the frozen backbone and neck '
            f'give {" x ".join(map(str, shape))}: add a neck, such as '
            'GlobalAveragePooling'
        )
    in_channels = getattr(head, 'in_channels', shape[0])
    if in_channels != shape[0]:
        raise ValueError(
            f'{name} has in_channels={in_channels}, but the frozen backbone and neck '
            f'give features of size {shape[0]}: set model.head.in_channels={shape[0]}'
        )


def train_head(
    head: nn.Module, cfg: Config, dataset: Dataset, features: np.ndarray, seed: int
) -> None:
    """Train a head as :class:`mmimbal.CachedFeaturesTrainLoop` would, in less time.

    The steps are the same, with sampler, optimizer and schedules of the config and
    view ``e % V`` in epoch e. There are no hooks, logs or validation. A head with
    ``fit`` is fitted to all features at once instead.

    Args:
        head: A head, new or with weights of stage 1.
        cfg: Config of stage 2: ``train_dataloader``, ``optim_wrapper``,
            ``param_scheduler`` and ``train_cfg`` are read.
        dataset: N training images; only their labels are read.
        features: Features of V views of each image, (V, N, in_channels).
        seed: Seed of the sampler, and of losses with random numbers.
    """
    give_class_counts(head.modules(), get_class_counts(dataset))
    labels = torch.from_numpy(get_labels(dataset))
    with kept_random_state():
        torch.manual_seed(seed)
        if hasattr(head, 'fit'):
            views = torch.from_numpy(np.array(features)).float().flatten(0, 1)
            head.fit(views, labels.repeat(len(features)))
        else:
            _take_steps(head, cfg, dataset, features, labels, seed)


class HeadModel(BaseModel):
    """A model that has only a head, so that ``train_step`` works on features.

    Args:
        head: Head of an MMPretrain classifier.
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__(data_preprocessor=NoPreprocessing())
        self.head = head

    def forward(self, inputs: torch.Tensor, data_samples: list, mode: str) -> dict:
        """Return the losses for features, (B, D)."""
        return self.head.loss((inputs,), data_samples)


class NoPreprocessing(nn.Module):
    """A data preprocessor that changes nothing: features are ready to use."""

    def forward(self, data: dict, training: bool = False) -> dict:
        """Return the batch unchanged."""
        return data


def _take_steps(
    head: nn.Module,
    cfg: Config,
    dataset: Dataset,
    features: np.ndarray,
    labels: torch.Tensor,
    seed: int,
) -> None:
    sampler, batches = build_batches(cfg.train_dataloader, dataset, seed)
    length = len(batches)
    model = HeadModel(head)  # paramwise_cfg names parameters as in a Runner: head.fc
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    epochs = cfg.train_cfg.max_epochs
    schedule = cfg.get('param_scheduler')
    schedulers = build_schedule(schedule, optim_wrapper, epochs, length)
    model.train()
    optim_wrapper.initialize_count_status(model, 0, epochs * length)
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        give_epoch(head.modules(), epoch, epochs)
        view = features[epoch % len(features)]
        for indices in batches:
            # One sample with the labels of the batch: heads concatenate labels anyway.
            sample = DataSample().set_gt_label(labels[indices])
            inputs = torch.from_numpy(view[indices]).float()
            batch = dict(inputs=inputs, data_samples=[sample])
            model.train_step(batch, optim_wrapper)
            for scheduler in schedulers:
                if not scheduler.by_epoch:
                    scheduler.step()
        for scheduler in schedulers:
            if scheduler.by_epoch:
                scheduler.step()


@torch.no_grad()
def probabilities(head: nn.Module, features: np.ndarray) -> np.ndarray:
    """Return the probabilities, (N, K), of a head for features, (N, in_channels).

    Raises:
        FloatingPointError: If they are not finite, because training has diverged.
    """
    head.eval()
    chunks = torch.from_numpy(np.array(features)).float().split(1024)
    scores = torch.cat([head((chunk,)).softmax(1) for chunk in chunks])
    if not scores.isfinite().all():
        raise FloatingPointError('diverged')
    return scores.numpy()
