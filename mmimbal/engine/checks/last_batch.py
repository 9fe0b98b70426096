"""Find a last batch of one image, which batch norm refuses, before training."""

import copy

import torch
from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_world_size
from torch import nn
from torch.utils.data import BatchSampler, DataLoader

from mmimbal.datasets import get_class_counts
from mmimbal.datasets.random_state import kept_random_state
from mmimbal.datasets.samplers.views_batch import ViewsBatchSampler
from mmimbal.datasets.views import MetricIndex
from mmimbal.engine.ddp import unwrap_model
from mmimbal.models.needs import give_class_counts, give_epoch, wants_class_counts

NEEDS_TWO = 'Expected more than 1 value per channel'  # torch


def check_last_batch(model: nn.Module, loader: DataLoader) -> None:
    """Raise a ValueError if a batch of an epoch has one image and the model needs two.

    Batch norm needs two values per channel. A model that can be trained with one image
    passes. Neither the model nor the random state changes.

    Args:
        model: As it will be trained, possibly in a distributed wrapper.
        loader: Loader of the training images.
    """
    batches = loader.batch_sampler
    if type(batches) not in (BatchSampler, ViewsBatchSampler):
        return  # others make batches of their own
    if isinstance(batches.sampler, InfiniteSampler) and batches.batch_size > 1:
        return  # it has no last batch
    size, images = batches.batch_size, len(batches.sampler)
    if not len(batches):
        raise ValueError(
            f'there is no batch of {size} in {images} training images, and '
            'drop_last=True: lower train_dataloader.batch_size'
        )
    if size > 1 and (batches.drop_last or images % size != 1):
        return
    if needs_two_images(model, loader):
        ranks = get_world_size()
        on_ranks = f', {ranks} ranks' if ranks > 1 else ''
        drop_it = '' if size == 1 else 'train_dataloader.drop_last=True or '
        raise ValueError(
            f'{"every" if size == 1 else "the last"} batch of an epoch has one image '
            f'({images * ranks} images, batch size {size}{on_ranks}), but batch '
            f'normalization needs two: set {drop_it}another train_dataloader.batch_size'
        )


def needs_two_images(model: nn.Module, loader: DataLoader) -> bool:
    """Return whether a copy of the model fails in training with one image.

    It fails by batch norm; any other error is left to the training.
    """
    try:
        with kept_random_state(), torch.no_grad():
            trial = copy.deepcopy(unwrap_model(model)).train()
            if wants_class_counts(trial):
                give_class_counts(trial.modules(), get_class_counts(loader.dataset))
            # After a first epoch of warm-up; epochs enough for any first phase.
            give_epoch(trial.modules(), 1, 10**9)
            images = [0]
            if isinstance(loader.batch_sampler, ViewsBatchSampler):
                images.append(MetricIndex(0))
            batch = loader.collate_fn([loader.dataset[index] for index in images])
            trial(**trial.data_preprocessor(batch, True), mode='loss')
    except Exception as error:
        return NEEDS_TWO in str(error)
    return False
