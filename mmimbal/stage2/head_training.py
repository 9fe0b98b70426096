"""Train and apply heads on cached features without a runner: the loop and no more."""

from collections.abc import Mapping

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmpretrain.registry import DATA_SAMPLERS, PARAM_SCHEDULERS
from mmpretrain.structures import DataSample
from torch import nn
from torch.utils.data import BatchSampler, Dataset

from mmimbal.datasets import get_class_counts, get_labels
from mmimbal.stage2.fresh_head import build_seeded


def build_head(
    cfg: Config, seed: int, stage1: Mapping[str, torch.Tensor], shape: tuple[int, ...]
) -> nn.Module:
    """Build a fresh head, or one that goes on from the classifier of stage 1.

    Args:
        cfg: Config of the head.
        seed: Of its weights.
        stage1: State of the head of stage 1.
        shape: Of the features of one image.

    Raises:
        ValueError: If it wants features of another size, or another classifier.
    """
    head = build_seeded(cfg, seed)
    check_size(head, shape)
    if hasattr(head, 'load_stage1'):
        head.load_stage1(stage1)
    return head


def check_size(head: nn.Module, shape: tuple[int, ...]) -> None:
    """Raise a ValueError if a head wants features of another shape than there are."""
    name = type(head).__name__
    if len(shape) != 1:
        raise ValueError(
            f'{name} wants one vector for each image, but the frozen backbone and neck '
            f'give {" x ".join(map(str, shape))}: add a neck, such as '
            'GlobalAveragePooling'
        )
    wanted = getattr(head, 'in_channels', shape[0])
    if wanted != shape[0]:
        raise ValueError(
            f'{name} wants features of size in_channels={wanted}, but the frozen '
            f'backbone and neck give {shape[0]}: set model.head.in_channels={shape[0]}'
        )


def train_head(
    head: nn.Module, cfg: Config, dataset: Dataset, features: np.ndarray, seed: int
) -> None:
    """Train a head as :class:`mmimbal.CachedFeaturesTrainLoop` would, in less time.

    The steps are the same: batches of the config's sampler, its optimizer and
    schedules, view ``e % V`` in epoch e. Hooks, logs and validation are left out. A
    head with ``fit`` is handed all features at once instead.

    Args:
        head: A head, fresh or not.
        cfg: Config of stage 2: ``train_dataloader``, ``optim_wrapper``,
            ``param_scheduler`` and ``train_cfg`` are read.
        dataset: N training images, for their labels.
        features: V views of each, (V, N, in_channels).
        seed: Of the sampler, and of a loss that draws.
    """
    counts = get_class_counts(dataset)
    for module in head.modules():
        if hasattr(module, 'set_class_counts'):
            module.set_class_counts(counts)
    labels = torch.from_numpy(get_labels(dataset))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if hasattr(head, 'fit'):
            views = torch.from_numpy(np.array(features)).float().flatten(0, 1)
            head.fit(views, labels.repeat(len(features)))
        else:
            _take_steps(head, cfg, dataset, features, labels, seed)


class HeadModel(BaseModel):
    """A head alone, which takes the steps of mmengine's models on features.

    Args:
        head: Of an MMPretrain classifier.
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__(data_preprocessor=AsItIs())
        self.head = head

    def forward(self, inputs: torch.Tensor, data_samples: list, mode: str) -> dict:
        """Return the losses of features, (B, D)."""
        return self.head.loss((inputs,), data_samples)


class AsItIs(nn.Module):
    """In place of a data preprocessor: features need none."""

    def forward(self, data: dict, training: bool = False) -> dict:
        """Return the batch."""
        return data


def _take_steps(
    head: nn.Module,
    cfg: Config,
    dataset: Dataset,
    features: np.ndarray,
    labels: torch.Tensor,
    seed: int,
) -> None:
    loader = cfg.train_dataloader
    batches = sampler = DATA_SAMPLERS.build(
        loader.sampler, default_args=dict(dataset=dataset, seed=seed)
    )
    if loader.get('batch_sampler'):
        batches = DATA_SAMPLERS.build(
            loader.batch_sampler,
            default_args=dict(sampler=sampler, batch_size=loader.batch_size),
        )
    else:
        last = loader.get('drop_last', False)
        batches = BatchSampler(sampler, loader.batch_size, last)
    optim_wrapper = build_optim_wrapper(head, cfg.optim_wrapper)
    epochs = cfg.train_cfg.max_epochs
    schedulers = _build_schedulers(cfg, optim_wrapper, epochs, len(batches))
    model = HeadModel(head)
    model.train()
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        for module in head.modules():
            if hasattr(module, 'set_epoch'):
                module.set_epoch(epoch)
        view = features[epoch % len(features)]
        for indices in batches:
            # One sample with the labels of all: heads concatenate the labels.
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


def _build_schedulers(
    cfg: Config, optim_wrapper: OptimWrapper, epochs: int, batches: int
) -> list:
    """Build the schedules; one without an end runs to the last step, as in mmengine."""
    found = cfg.get('param_scheduler') or []
    schedulers = []
    for scheduler in [found] if isinstance(found, dict) else found:
        end = epochs if scheduler.get('by_epoch', True) else epochs * batches
        schedulers.append(
            PARAM_SCHEDULERS.build(
                dict(end=end) | dict(scheduler),
                default_args=dict(optimizer=optim_wrapper, epoch_length=batches),
            )
        )
    return schedulers


@torch.no_grad()
def probabilities(head: nn.Module, features: np.ndarray) -> np.ndarray:
    """Return what a head makes of features, (N, in_channels): probabilities, (N, K).

    Raises:
        FloatingPointError: If they are not finite: training has diverged.
    """
    head.eval()
    chunks = torch.from_numpy(np.array(features)).float().split(1024)
    scores = torch.cat([head((chunk,)).softmax(1) for chunk in chunks])
    if not scores.isfinite().all():
        raise FloatingPointError('diverged')
    return scores.numpy()
